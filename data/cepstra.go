package data

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// LogMel describes a sound of one channel by its spectrum every 20 ms: frames of so many bands, the natural logarithm of the energy
// in each. A frame sees 32 ms, through a periodic Hann window (both numbers of samples rounded down); its power spectrum, of the
// next power of 2 samples, zeros behind, is gathered by triangles of height 1, evenly spaced on the mel scale of HTK, 2595 log10(1 +
// f/700), from 0 to half the rate; 1e-10 is added before the logarithm. The first frame begins with the first sample, and what is
// left at the end, too short for a frame, is not seen.
//
// So does librosa 0.11 by melspectrogram(n_fft=size, win_length=window, hop_length=hop, center=False, htk=True, norm=None), of the
// sound behind as many zeros as it puts before a window shorter than size.
//
// Samples are in [-1, 1], rate a second, from 2,000 to 192,000. It is an error where the spectrum is too coarse for a band to have
// a line of it.
func LogMel(samples []float64, rate, bands int) ([][]float32, error) {
	logs, err := logMel(samples, rate, bands)
	if err != nil {
		return nil, err
	}
	var frames [][]float32
	for _, l := range logs {
		frame := make([]float32, bands)
		for b, v := range l {
			frame[b] = float32(v)
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

// Cepstra describes a sound of one channel as so many numbers every 20 ms: mel-frequency cepstral coefficients (Davis & Mermelstein
// 1980, "Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously Spoken Sentences"), the first
// of them loudness. They are the orthonormal DCT-II, without a lifter, of the [LogMel] of 26 bands. A sound below one frame is none.
//
// Samples are in [-1, 1], rate a second, from 2,000 to 192,000; coefficients are 1 to 26.
func Cepstra(samples []float64, rate, coefficients int) ([][]float32, error) {
	if coefficients < 1 || coefficients > melBands {
		return nil, fmt.Errorf("data: %d cepstra: choose 1 to %d", coefficients, melBands)
	}
	logs, err := logMel(samples, rate, melBands)
	if err != nil {
		return nil, err
	}
	var frames [][]float32
	for _, l := range logs {
		frame := make([]float32, coefficients)
		for c := range frame {
			sum := 0.0
			for b, v := range l {
				sum += v * math.Cos(math.Pi*float64(c)*(float64(b)+0.5)/melBands)
			}
			norm := math.Sqrt(2. / melBands)
			if c == 0 {
				norm = math.Sqrt(1. / melBands)
			}
			frame[c] = float32(norm * sum)
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

const (
	melBands = 26 // of cepstra

	// Sounds of other rates have frames of too few samples, or are none.
	leastRate, mostRate = 2000, 192000
)

// frameOf is what a frame sees, and how far it is to the next, in samples.
func frameOf(rate int) (window, hop int) { return rate * 32 / 1000, rate * 20 / 1000 }

// frameCount is how many frames a sound of so many samples has.
func frameCount(samples, rate int) int {
	window, hop := frameOf(rate)
	if samples < window {
		return 0
	}
	return (samples-window)/hop + 1
}

func logMel(samples []float64, rate, bands int) ([][]float64, error) {
	if rate < leastRate || rate > mostRate {
		return nil, fmt.Errorf("data: a sound of %d samples a second: choose %d to %d", rate, leastRate, mostRate)
	}
	window, hop := frameOf(rate)
	size := 1
	for size < window {
		size *= 2
	}
	triangles, err := melTriangles(rate, size, bands)
	if err != nil {
		return nil, err
	}
	hann := make([]float64, window)
	for i := range hann {
		hann[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(window))
	}
	transform := fourier.NewFFT(size)
	frames := make([][]float64, frameCount(len(samples), rate))
	x, power := make([]float64, size), make([]float64, size/2+1)
	var spectrum []complex128
	for n := range frames {
		for i, w := range hann {
			x[i] = w * samples[n*hop+i]
		}
		spectrum = transform.Coefficients(spectrum, x)
		for k, v := range spectrum {
			power[k] = real(v)*real(v) + imag(v)*imag(v)
		}
		frames[n] = make([]float64, bands)
		for b, weights := range triangles {
			sum := 0.0
			for k, w := range weights {
				sum += w * power[k]
			}
			frames[n][b] = math.Log(sum + 1e-10) // silence
		}
	}
	return frames, nil
}

// melTriangles are the weights of the bands on the bins of a spectrum of size samples.
func melTriangles(rate, size, bands int) ([][]float64, error) {
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	hertz := func(m float64) float64 { return 700 * (math.Pow(10, m/2595) - 1) }
	edge := func(i int) float64 { return hertz(mel(float64(rate)/2) * float64(i) / float64(bands+1)) }
	triangles := make([][]float64, max(bands, 0))
	for b := range triangles {
		low, mid, high := edge(b), edge(b+1), edge(b+2)
		triangles[b] = make([]float64, size/2+1)
		empty := true
		for k := range triangles[b] {
			f := float64(k) * float64(rate) / float64(size)
			w := max(0, min((f-low)/(mid-low), (high-f)/(high-mid)))
			triangles[b][k], empty = w, empty && w == 0
		}
		if empty {
			return nil, fmt.Errorf("data: %d bands are too many for %d samples a second: band %d, of %.0f to %.0f Hz, has no line of the spectrum",
				bands, rate, b, low, high)
		}
	}
	if bands < 1 {
		return nil, fmt.Errorf("data: %d bands: choose at least 1", bands)
	}
	return triangles, nil
}
