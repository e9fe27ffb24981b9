// Package sslkit is a laboratory for self-supervised learning: each method of the field's standard
// lecture in one file that reads like its paper's algorithm box, trained by one loop and judged on
// the same downstream tasks.
//
// # Map
//
//	lecture item                 method    paper                 file         notebook
//	2 transformation prediction  Rotation  Gidaris et al., 2018  rotation.go  2_transformation_prediction
//
// # How it fits together
//
// A [Method] says what one training step is, and which part of it is kept. [Run] trains it: the
// whole step, from uint8 pixels over random views, encoder, loss and gradients to the update, is one
// program compiled by XLA (or by GoMLX's pure-Go backend), and the run can be stopped at any moment
// and resumed bit for bit. [Features] is all that evaluation needs of a trained method.
//
// The packages below are used in one direction:
//
//	sweep   requests and records: the same request never trains twice; the Task Gap experiment
//	eval    k-NN, linear and non-linear probes; random-init and supervised rows
//	sslkit  methods, the run, checkpoints
//	nn, view, loss, optim    graph building: encoders, views, losses, optimizers
//	pjrt    which backend is used, and where its plugin comes from
//
// Package data, beside sslkit, yields images; a train.Dataset joins the two.
package sslkit
