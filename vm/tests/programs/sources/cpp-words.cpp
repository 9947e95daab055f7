// What C++'s library is used for: streams, strings, regular expressions, ordered and hashed maps, sorting, numbers.
#include <algorithm>
#include <cmath>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

struct Circle : Shape {
    explicit Circle(double radius) : radius(radius) {}
    double area() const override { return std::acos(-1.0) * radius * radius; }
    double radius;
};

struct Square : Shape {
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
    double side;
};

int main() {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    std::map<std::string, int> words;
    std::unordered_map<char, int> letters;
    const std::regex word("[A-Za-z]+");
    for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it) ++words[it->str()];
    for (const char c : text) ++letters[c];

    std::vector<std::pair<std::string, int>> most(words.begin(), words.end());
    std::stable_sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    most.resize(std::min<std::size_t>(most.size(), 5));
    for (const auto& [name, count] : most) std::cout << std::setw(10) << name << ' ' << count << '\n';

    std::vector<double> numbers;
    const std::regex digits("([0-9]+)(?:[.]([0-9]+))?");
    for (std::sregex_iterator it(text.begin(), text.end(), digits), end; it != end; ++it) {
        std::istringstream in(it->str());
        double number = 0;
        in >> number;
        numbers.push_back(number);
    }
    std::cout << "sum " << std::fixed << std::setprecision(3) << std::accumulate(numbers.begin(), numbers.end(), 0.0)
              << ", letters " << letters.size() << '\n';

    std::vector<std::unique_ptr<Shape>> shapes;
    for (const double number : numbers) {
        if (shapes.size() % 2 == 0)
            shapes.push_back(std::make_unique<Circle>(number));
        else
            shapes.push_back(std::make_unique<Square>(number));
    }
    const std::function<double(double, const std::unique_ptr<Shape>&)> add = [](double sum, const auto& shape) {
        return sum + shape->area();
    };
    std::cout << "area " << std::accumulate(shapes.begin(), shapes.end(), 0.0, add) << std::endl;
    return std::cout ? 0 : 1;
}
