package data

import (
	"math"
	"math/cmplx"
	"slices"
	"testing"
)

func TestSpokenDigits(t *testing.T) {
	for k, src := range openBoth(t, "spoken-digits") {
		each := []int{270, 30}[k] // of each digit
		speakers, err := By(src, "speaker")
		if err != nil {
			t.Fatal(err)
		}
		counts, whose := make([]int, 10), make([]int, 6)
		long := 0
		for i := range src.Len() {
			counts[src.Label(i)]++
			whose[speakers.Label(i)]++
			pixels := slices.Repeat([]uint8{9}, digitFrames*digitCepstra)
			if err := src.Read(i, pixels); err != nil {
				t.Fatal(err)
			}
			end := slices.Index(pixels, 0)
			if end < 0 {
				end = len(pixels)
				long++
			}
			if end%digitCepstra != 0 || end < 4*digitCepstra || slices.ContainsFunc(pixels[end:], func(v uint8) bool { return v != 0 }) {
				t.Fatalf("recording %d ends at %d of %d", i, end, len(pixels))
			}
		}
		if slices.Min(counts) != each || slices.Max(counts) != each || slices.Min(whose) != each*10/6 || slices.Max(whose) != each*10/6 {
			t.Errorf("%s: %d of the digits, %d of the speakers", src.Name(), counts, whose)
		}
		if part := float64(long) / float64(src.Len()); part > 0.08 {
			t.Errorf("%s: %.0f %% are cut off", src.Name(), 100*part)
		}
	}
}

// Cepstra are their definition, by loops without a fast transform.
func TestCepstra(t *testing.T) {
	const rate, n = 8000, 700
	samples := make([]float64, n)
	for i := range samples {
		samples[i] = 0.3*math.Sin(2*math.Pi*440*float64(i)/rate) + 0.1*math.Cos(2*math.Pi*1900*float64(i)/rate+1) + 0.01*math.Sin(float64(i*i))
	}
	got, err := Cepstra(samples, rate, 13)
	if err != nil || len(got) != (n-256)/160+1 {
		t.Fatalf("%d frames, %v", len(got), err)
	}
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	for at, frame := range got {
		var power [129]float64
		for k := range power {
			var sum complex128
			for i := range 256 {
				w := math.Pow(math.Sin(math.Pi*float64(i)/256), 2)
				sum += complex(w*samples[160*at+i], 0) * cmplx.Exp(complex(0, -2*math.Pi*float64(k*i)/256))
			}
			power[k] = math.Pow(cmplx.Abs(sum), 2)
		}
		for c, v := range frame {
			var want float64
			for b := range 26 {
				edge := func(i int) float64 { return 700 * (math.Pow(10, mel(4000)*float64(b+i)/27/2595) - 1) }
				energy := 1e-10
				for k, p := range power {
					f := float64(k) * 31.25
					switch {
					case f > edge(0) && f <= edge(1):
						energy += p * (f - edge(0)) / (edge(1) - edge(0))
					case f > edge(1) && f < edge(2):
						energy += p * (edge(2) - f) / (edge(2) - edge(1))
					}
				}
				want += math.Log(energy) * math.Cos(math.Pi*float64(c)*(float64(b)+.5)/26)
			}
			want *= math.Sqrt(2. / 26)
			if c == 0 {
				want /= math.Sqrt2
			}
			if math.Abs(float64(v)-want) > 1e-5*max(1, math.Abs(want)) { // float32
				t.Errorf("frame %d: c%d is %g, want %g", at, c, v, want)
			}
		}
	}
	if got, err := Cepstra(samples[:255], rate, 13); err != nil || got != nil {
		t.Errorf("less than a frame: %v, %v", got, err)
	}
	for _, bad := range [][2]int{{100, 13}, {8000, 0}, {8000, 27}} {
		if _, err := Cepstra(samples, bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}
