// Command twins is the command sslkit, with one method more: see twins.go.
package main

import "github.com/sslkit/lab/cli"

func main() { cli.Main() }
