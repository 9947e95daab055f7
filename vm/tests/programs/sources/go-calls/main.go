// One function that calls another a thousand times: Go nests a block for every place where a call returns.
// The function registerAll is written by build.sh.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
)

var numbers = map[string]int{}

//go:noinline
func register(name string, number int) {
	numbers[name] = number*number%1009 + len(numbers)
}

func main() {
	registerAll()
	names := make([]string, 0, len(numbers))
	sum := 0
	for name, number := range numbers {
		names = append(names, name)
		sum += number
	}
	sort.Strings(names)
	lines := 0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		lines++
	}
	fmt.Println(len(names), names[0], names[len(names)-1], sum, lines)
}
