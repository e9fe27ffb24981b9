// Package shorten holds what tests have less of, so that they take seconds.
package shorten

// SupervisedEpochs are those of recipe.Labels for small networks.
var SupervisedEpochs = 20
