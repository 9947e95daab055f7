// What Go's library is used for: a digest, regular expressions, large numbers, floats, sorting and goroutines.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"regexp"
	"sort"
	"strconv"
	"sync"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%x\n", sha256.Sum256(text))

	counts := map[string]int{}
	for _, word := range regexp.MustCompile(`\b[a-z]{4,7}\b`).FindAllString(string(text), -1) {
		counts[word]++
	}
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	sort.Slice(words, func(i, j int) bool {
		if counts[words[i]] != counts[words[j]] {
			return counts[words[i]] > counts[words[j]]
		}
		return words[i] < words[j]
	})
	for _, word := range words[:5] {
		fmt.Printf("%-10s %d\n", word, counts[word])
	}

	product, sum, count := big.NewInt(1), 0.0, 0
	for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(string(text), -1) {
		number, _ := new(big.Int).SetString(digits, 10)
		if number.Sign() > 0 {
			product.Mul(product, number)
		}
		value, _ := strconv.ParseFloat(digits, 64)
		sum += value
		count++
	}
	successor := new(big.Int).Add(product, big.NewInt(1))
	fmt.Println(product, successor.ProbablyPrime(4))
	fmt.Println(sum/float64(count), math.Sqrt(sum))
	fmt.Println(squares(10))
}

// squares has one goroutine for each number.
func squares(n int) []int {
	all := make([]int, n)
	var done sync.WaitGroup
	for i := range n {
		done.Add(1)
		go func() {
			defer done.Done()
			all[i] = i * i
		}()
	}
	done.Wait()
	return all
}
