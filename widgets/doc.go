// Package widgets draws the laboratory's figures and tables: plain values in,
// SVG, PNG, HTML, Markdown or plain text out. Nothing is loaded from a network
// and nothing needs a running kernel, so that a figure looks the same in a
// notebook, in its exported page, and on the front page of the repository.
//
//	Curves     values over steps, epochs or encoder blocks
//	Bars       grouped bars (or points) with reference figures beside them
//	Scatter    points, coloured by group or by a third value
//	Histogram  distributions of several samples over each other
//	Map        features laid out in the plane, coloured by class
//	Sphere     features on the unit circle or sphere, coloured by class
//	Heatmap    a matrix with its values printed
//	Diagram    boxes on a grid, and arrows between them
//	Gallery    a grid of images with captions; Attention makes overlays for it
//	Table      rows and columns of text
//	Frames     a slider over any of the figures
//
// A chart is a struct literal; its Figure method checks it and draws it:
//
//	fig, err := widgets.Curves{YLabel: "loss", Series: series}.Figure()
//
// In a notebook's cell, show charts with Plot and galleries with Picture of
// package notebooks.
//
// The style follows E. R. Tufte, The Visual Display of Quantitative
// Information: no boxes, no legend where a label at the line's end will do, no
// turned text. Colours are those of M. Okabe and K. Ito, Color Universal
// Design (2008), which colour-blind readers tell apart, and four more for classes.
package widgets
