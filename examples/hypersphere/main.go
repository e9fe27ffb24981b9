// Command hypersphere is the command sslkit, with one method more: see hypersphere.go.
package main

import "github.com/sslkit/lab/cli"

func main() { cli.Main() }
