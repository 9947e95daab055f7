// The smallest program that Go makes: a line on standard error, and one on standard output.
package main

import "os"

func main() {
	println("hi")
	os.Stdout.WriteString("hello from Go\n")
}
