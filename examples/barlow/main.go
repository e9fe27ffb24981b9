// Command barlow is the command sslkit, with one method more: see barlow.go.
package main

import "github.com/sslkit/lab/cli"

func main() { cli.Main() }
