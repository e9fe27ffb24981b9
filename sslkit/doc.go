// Package sslkit is a laboratory for self-supervised learning: each method of the field's standard
// lecture in one file that reads like its paper's algorithm box, trained by one loop and judged on
// the same downstream tasks.
//
// # Map
//
//	lecture item                 method             paper                      file             notebook
//	1 data prediction            Colorization       Zhang et al., 2016         colorization.go  1_data_prediction
//	                             ContextEncoder     Pathak et al., 2016        inpainting.go    1_data_prediction
//	                             VideoColorization  Vondrick et al., 2018      tracking.go      1_data_prediction
//	2 transformation prediction  ContextPrediction  Doersch et al., 2015       context.go       2_transformation_prediction
//	                             Jigsaw             Noroozi & Favaro, 2016     jigsaw.go        2_transformation_prediction
//	                             Rotation           Gidaris et al., 2018       rotation.go      2_transformation_prediction
//	3 contrastive                SimCLR             Chen et al., 2020          simclr.go        3_contrastive
//	                             MoCo               He et al., 2020; v2, 2020  moco.go          3_contrastive
//	                             DenseCL            Wang et al., 2021          densecl.go       3_contrastive
//	                             CLIP               Radford et al., 2021       clip.go          3_contrastive
//	4 clustering                 DeepCluster        Caron et al., 2018         deepcluster.go   4_clustering
//	                             SwAV               Caron et al., 2020         swav.go          4_clustering
//	5 masked autoencoder         MAE                He et al., 2022            mae.go           5_masked_autoencoder
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
//	sweep   requests and records: the same request never trains twice; ablations, the Task Gap,
//	        all methods in one table
//	eval    k-NN, probes, few labels, fine-tuning, segmentation, detection, tracking, zero-shot and
//	        retrieval; random-init and supervised rows
//	sslkit  methods, the run, checkpoints
//	nn, view, loss, optim, cluster    encoders, views, losses, optimizers, clustering
//	pjrt    which backend is used, and where its plugin comes from
//
// Package data, beside sslkit, yields images; a train.Dataset joins the two.
package sslkit
