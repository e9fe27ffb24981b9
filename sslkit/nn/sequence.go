package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Frames is a network of clips: depth layers and a linear one encode each frame by itself, to width numbers, and a [GRU] of so
// many units, if state is not 0, goes over them. Layers of films are 3x3 convolutions with strides of 2 and twice the channels
// each, the last of them width; those of sounds, whose frames are rows of numbers, are dense. There are no norms, which would tell a
// frame of what comes later.
func Frames(depth, width, state int) Backbone {
	return Backbone{Arch: "frames", Depth: depth, Width: width, State: state}
}

// Words is a table of vectors of so many dimensions, one for each word of a vocabulary, for texts of so many tokens. What it
// encodes a text to is the mean over its words.
func Words(vocabulary, length, width int) Backbone {
	return Backbone{Arch: "words", Depth: 1, Width: width, Words: vocabulary, Length: length}
}

// Input is what a network reads.
type Input int

// What networks read.
const (
	Images Input = iota // [N, H, W, C] float
	Clips               // [N, T, H, W, C] float, films or sounds
	Texts               // tokens [N, L] int32
)

func (i Input) String() string { return [...]string{"images", "clips", "texts"}[i] }

// Input is what b reads.
func (b Backbone) Input() Input {
	switch b.Arch {
	case "frames", "tubes":
		return Clips
	case "words", "text":
		return Texts
	}
	return Images
}

// Valid tells, as bool [N, T], which frames of clips [N, T, H, W, C] are there. Those of a sound, which are one pixel high, are 0
// throughout after its end, and never before; a film has all its frames, dark ones too.
func Valid(clip *Node) *Node {
	s := clip.Shape()
	if s.Rank() != 5 || !clip.DType().IsFloat() {
		exceptions.Panicf("nn.Valid: need float clips [N, T, H, W, C], got %s", s)
	}
	if s.Dim(2) > 1 {
		t := Iota(clip.Graph(), shapes.Make(dtypes.Int32, s.Dim(0), s.Dim(1)), 1)
		return GreaterOrEqual(t, ZerosLike(t))
	}
	return GreaterThan(ReduceMax(clip, 2, 3, 4), ScalarZero(clip.Graph(), clip.DType()))
}

// Sequence encodes clips [N, T, H, W, C], in [0, 1], with a backbone of [Frames]: z [N, T, Width] of each frame, and c [N, T,
// State] of all up to it, nil where there is no state. Where valid, bool [N, T], is false, there is no frame: z is 0 and c the last
// one.
func (b Backbone) Sequence(scope *model.Scope, clip *Node) (z, c, valid *Node) {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	if b.Arch != "frames" {
		exceptions.Panicf(`nn.Backbone.Sequence: a %s has no frames, "frames" has`, b.Arch)
	}
	valid = Valid(clip)
	d := clip.Shape().Dimensions
	n, t := d[0], d[1]
	x := Centre(Reshape(clip, n*t, d[2], d[3], d[4]))
	if d[2] == 1 {
		x = Reshape(x, n*t, d[3]*d[4])
	}
	for i := range b.Depth {
		layer := scope.In("layer_%d", i+1)
		if d[2] == 1 {
			x = relu(Dense(layer, x, true, b.Width))
		} else {
			x = relu(Conv(layer, x, max(1, b.Width>>(b.Depth-1-i)), 3, 2, true))
		}
	}
	x = Dense(scope.In("out"), Reshape(x, n*t, -1), true, b.Width)
	z = Reshape(x, n, t, b.Width)
	z = Where(BroadcastToShape(InsertAxes(valid, -1), shapes.Make(dtypes.Bool, n, t, b.Width)), z, ZerosLike(z))
	if b.State > 0 {
		c = GRU(scope.In("state"), z, valid, b.State)
	}
	return z, c, valid
}

// sequenceStages are what can be probed, maps of one position: the mean of z over the frames that are there; without a state all z
// side by side, and with one c at the end and the mean of c.
func (b Backbone) sequenceStages(scope *model.Scope, clip *Node) []*Node {
	z, c, valid := b.Sequence(scope, clip)
	n, t := z.Shape().Dim(0), z.Shape().Dim(1)
	mean := func(x *Node) *Node { return meanWhere(x, valid) }
	one := func(x *Node) *Node { return Reshape(x, n, 1, 1, -1) }
	if c == nil {
		return []*Node{one(mean(z)), one(z)}
	}
	return []*Node{one(mean(z)), one(SliceAxis(c, 1, AxisElem(t-1))), one(mean(c))}
}

// FirstWord is the token of the first word: those before are padding, what is not in the vocabulary, start and end, as package
// data numbers them.
const FirstWord = 4

// IsWord tells where tokens, int32, are words of the vocabulary.
func IsWord(tokens *Node) *Node {
	return GreaterOrEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, FirstWord))
}

// Table has a vector for each token of the vocabulary, by a backbone of [Words] or [Text]: [Words, Width] float32. Those of words
// start uniform in +-1/(2 Width), as in the code of word2vec, those of a text normal with a deviation of 0.02, as in BERT's.
func (b Backbone) Table(scope *model.Scope, g *Graph) *Node {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	bound := 0.5 / float64(b.Width)
	start := initializer.RandomUniformFn(scope, -bound, bound)
	switch b.Arch {
	case "words":
	case "text":
		start = initializer.RandomNormalFn(scope, 0.02)
	default:
		exceptions.Panicf(`nn.Backbone.Table: a %s has no words: "words" and "text" have`, b.Arch)
	}
	return scope.WithInitializer(start).VariableWithShape("words", shapes.Make(dtypes.Float32, b.Words, b.Width)).NodeValue(g)
}

// Vectors are those of tokens [N, L] int32 in the [Backbone.Table]: [N, L, Width] float32.
func (b Backbone) Vectors(scope *model.Scope, tokens *Node) *Node {
	if s := tokens.Shape(); s.Rank() != 2 || s.DType != dtypes.Int32 || b.Input() == Texts && s.Dim(1) != b.Length {
		exceptions.Panicf("nn.Backbone.Vectors: need tokens [N, %d] int32, got %s", b.Length, s)
	}
	return Gather(b.Table(scope, tokens.Graph()), InsertAxes(tokens, -1))
}

// wordStages is the mean over the words that are known: of their vectors, and of a [Text] of its states after each quarter, too.
func (b Backbone) wordStages(scope *model.Scope, tokens *Node) []*Node {
	maps := []*Node{b.Vectors(scope, tokens)}
	if b.Arch == "text" {
		maps = append(maps, b.Contexts(scope, maps[0], IsToken(tokens), 0)...)
	}
	for i, x := range maps {
		maps[i] = Reshape(MeanWord(x, tokens), -1, 1, 1, b.Width)
	}
	return maps
}

// MeanWord is the mean of x [N, L, D] over those of tokens [N, L] that are known words: [N, D].
func MeanWord(x, tokens *Node) *Node {
	return meanWhere(x, IsWord(tokens))
}

// meanWhere is the mean of x [N, L, D] over the positions where on, bool [N, L], is true: [N, D], 0 where there is none.
func meanWhere(x, on *Node) *Node {
	on = ConvertDType(on, x.DType())
	return Div(Einsum("nld,nl->nd", x, on), MaxScalar(ReduceAndKeep(on, ReduceSum, 1), 1))
}
