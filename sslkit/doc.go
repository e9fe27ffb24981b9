// Package sslkit is a laboratory for self-supervised learning: each method of the field's standard
// lecture in one file that reads like its paper's algorithm box, trained by one loop and judged on
// the same downstream tasks.
//
// # Map
//
//	lecture item                 method             paper                                   file             notebook
//	1 data prediction            Colorization       Zhang et al., 2016                      colorization.go  1_data_prediction
//	                             ContextEncoder     Pathak et al., 2016                     inpainting.go    1_data_prediction
//	                             VideoColorization  Vondrick et al., 2018                   tracking.go      1_data_prediction
//	2 transformation prediction  ContextPrediction  Doersch et al., 2015                    context.go       2_transformation_prediction
//	                             Jigsaw             Noroozi & Favaro, 2016                  jigsaw.go        2_transformation_prediction
//	                             Rotation           Gidaris et al., 2018                    rotation.go      2_transformation_prediction
//	3 contrastive                BYOL               Grill et al., 2020                      byol.go          3_contrastive
//	                             MoCo               He et al., 2020; v2, Chen et al., 2020  moco.go          3_contrastive
//	                             SimCLR             Chen et al., 2020                       simclr.go        3_contrastive
//	                             BarlowTwins        Zbontar et al., 2021                    barlow.go        3_contrastive
//	                             CLIP               Radford et al., 2021                    clip.go          3_contrastive
//	                             DenseCL            Wang et al., 2021                       densecl.go       3_contrastive
//	                             DINO               Caron et al., 2021                      dino.go          3_contrastive
//	                             MoCoV3             Chen et al., 2021                       mocov3.go        3_contrastive
//	                             NNCLR              Dwibedi et al., 2021                    nnclr.go         3_contrastive
//	                             SimSiam            Chen & He, 2021                         simsiam.go       3_contrastive
//	                             VICReg             Bardes et al., 2022                     vicreg.go        3_contrastive
//	                             LeJEPA             Balestriero & LeCun, 2025               lejepa.go        3_contrastive
//	4 clustering                 DeepCluster        Caron et al., 2018                      deepcluster.go   4_clustering
//	                             SwAV               Caron et al., 2020                      swav.go          4_clustering
//	5 masked autoencoder         MAE                He et al., 2022                         mae.go           5_masked_autoencoder
//	                             SimMIM             Xie et al., 2022                        simmim.go        5_masked_autoencoder
//	                             IJEPA              Assran et al., 2023                     ijepa.go         5_masked_autoencoder
//	6 beyond                     Word2Vec           Mikolov et al., 2013                    word2vec.go      6_beyond
//	                             NextFrame          Mathieu et al., 2016                    nextframe.go     6_beyond
//	                             Order              Misra et al., 2016                      order.go         6_beyond
//	                             Arrow              Wei et al., 2018                        arrow.go         6_beyond
//	                             CPC                van den Oord et al., 2018               cpc.go           6_beyond
//	                             GPT                Radford et al., 2018                    gpt.go           6_beyond
//	                             BERT               Devlin et al., 2019                     bert.go          6_beyond
//	                             Pace               Wang et al., 2020                       pace.go          6_beyond
//	                             Wav2Vec2           Baevski et al., 2020                    wav2vec2.go      6_beyond
//	                             SimCSE             Gao et al., 2021                        simcse.go        6_beyond
//	                             VideoMAE           Tong et al., 2022                       videomae.go      6_beyond
//
// # From a command to a figure
//
// A [Registration], made by the method's file in package recipe (or another module), gives a [Config] for a preset and a
// dataset; flags and [Config.With] change it. It is plain values with a JSON form, and all that a run depends on. The store,
// package runs, makes a Job of it: it opens the data, whose digest goes into the configuration, chooses the backend, and
// hashes both with the method's revision to the key ([Config.KeyAt]). Under the key there is a Record, or there will be one: a
// [Run] trains, in steps that are one program compiled by XLA or by GoMLX's pure-Go backend, saves checkpoints and goes on
// from the last one, bit for bit. What is measured of a finished run is a file beside its record, written by runs.Once and
// never measured twice; package eval does it, and sees [Features] alone. Package study asks for many configurations and
// makes one table, package show draws it, and package cli prints it. Every file is sealed with its SHA-256: what is read
// back is right, made again, or refused.
//
// # How it fits together
//
// A [Method] says what one training step is, and which part of it is kept. It sees no labels, and may have optional
// methods ([Starter], [EpochStarter], [Guesser] and others in register.go), by which the run and the store know what else to do.
//
// The packages below are used in one direction:
//
//	cli     the command sslkit, to be built with methods of others
//	show    tables and figures of results
//	study   comparisons, ablations, the Task Gap, transfer, dense tasks, tracking, image and text, maps
//	recipe  a file a method: registration and presets; the baselines' configurations
//	runs    requests and records: the same request never trains twice
//	eval    k-NN, probes, few labels, fine-tuning, segmentation, detection, tracking, zero-shot and retrieval
//	sslkit  methods, their registry and configurations, the run, checkpoints
//	nn, view, loss, optim, cluster    encoders, views, losses, optimizers, clustering
//	plane   layouts of features in two dimensions: PCA, t-SNE, UMAP
//	pjrt    which backend is used, and where its plugin comes from; pjrt/conv has convolutions for the CPU
//
// Recipes and the store do not know each other. Package data, beside sslkit, yields images; a train.Dataset joins the two.
package sslkit

//go:generate go test github.com/sslkit/lab -run 'TestDocuments|TestClaimsPage' -update
//go:generate go test github.com/sslkit/lab/notebooks -run TestChaptersShowThingsAsTheyAre -update
