package runs

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"

	"github.com/sslkit/lab/internal/labtest"
)

// newBucket is on a service of its own.
func newBucket(t *testing.T) *Bucket {
	t.Helper()
	at := s3mem.New()
	if err := at.CreateBucket("lab"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(at).Server())
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	b, err := OpenBucket("s3://lab/some/runs/")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBucketPutsOnce(t *testing.T) {
	b := newBucket(t)
	put := func(text string) error {
		return b.put(t.Context(), strings.NewReader(text), int64(len(text)), keyA, "x")
	}
	if err := put("first"); err != nil {
		t.Fatal(err)
	}
	if err := put("second"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second object of the same name: %v, want fs.ErrExist", err)
	}
	if got, err := b.get(t.Context(), keyA, "x"); err != nil || string(got) != "first" {
		t.Errorf("it holds %q, %v", got, err)
	}
	if _, err := b.get(t.Context(), keyA, "y"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v, want fs.ErrNotExist", err)
	}
	if keys, err := b.Keys(t.Context()); err != nil || len(keys) != 1 || keys[0] != keyA {
		t.Errorf("keys %q, %v", keys, err)
	}
	for _, address := range []string{"lab", "s3://", "https://lab/runs", "s3://lab?x=1"} {
		if _, err := OpenBucket(address); err == nil {
			t.Errorf("%q passes", address)
		}
	}
}

// A run that one machine brings is another's, without a step of training or a probe; who comes second with other parameters takes
// the first one's; and what was changed on the way is refused.
func TestBucket(t *testing.T) {
	b := newBucket(t)
	a, _ := newStore(t)
	a.Bucket = b
	c, o := small(t, "rotation"), labtest.Quick()
	want, err := a.Evaluate(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Find(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fetch(t.Context(), r.Key); err != nil { // nobody has brought it yet
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Offer(t.Context(), r.Key); err != nil {
			t.Fatal(err)
		}
	}
	fetched := func() (*Store, *labtest.News) {
		s, said := newStore(t)
		s.Bucket = b
		return s, said
	}
	s, said := fetched()
	if err := s.Fetch(t.Context(), r.Key); err != nil {
		t.Fatal(err)
	}
	got, err := s.Evaluate(t.Context(), c, o)
	if err != nil || !sameJSON(got, want) || said.Steps > 0 || strings.Contains(said.String(), "probing") {
		t.Errorf("scores are %+v, %v, want %+v, after %d steps; said was %q", got, err, want, said.Steps, said)
	}
	if j, err := s.Trained(t.Context(), c); err != nil || j.Store == nil {
		t.Errorf("its encoder: %v", err)
	}

	// The same key with the parameters of another seed, as another kind of processor may find them.
	other := c
	other.Seed++
	second, said := fetched()
	mine := pretrain(t, second, other)
	if err := os.Rename(second.path(mine.Key), second.path(r.Key)); err != nil {
		t.Fatal(err)
	}
	forged := *r
	forged.Parameters = mine.Parameters
	if err := second.write(&forged); err != nil {
		t.Fatal(err)
	}
	if err := second.Offer(t.Context(), r.Key); err != nil {
		t.Fatal(err)
	}
	if now, err := second.Get(r.Key); err != nil || now.Parameters != r.Parameters || !strings.Contains(said.String(), "was finished elsewhere first") {
		t.Errorf("the second one has %+v, %v; said was %q", now, err, said)
	}
	if got, err := second.Evaluate(t.Context(), c, o); err != nil || !sameJSON(got, want) {
		t.Errorf("the second one's scores are %+v, %v, want %+v", got, err, want)
	}

	for _, damaged := range []string{"record.json", r.Parameters + "/state.json", r.Parameters + "/parameters.safetensors"} {
		content, err := b.get(t.Context(), r.Key, damaged)
		if err != nil {
			t.Fatal(err)
		}
		set := func(content []byte) {
			t.Helper()
			if err := b.client.RemoveObject(t.Context(), b.name, b.at(r.Key, damaged), minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := b.put(t.Context(), bytes.NewReader(content), int64(len(content)), r.Key, damaged); err != nil {
				t.Fatal(err)
			}
		}
		bad := bytes.Clone(content)
		bad[len(bad)*2/3] ^= 1
		set(bad)
		s, _ := fetched()
		if err := s.Fetch(t.Context(), r.Key); err == nil {
			t.Errorf("%s was changed, and is taken", damaged)
		}
		if left, err := filepath.Glob(s.path(r.Key, "record.json")); err != nil || left != nil {
			t.Errorf("of a run with a changed %s there is a record", damaged)
		}
		set(content)
	}
	if err := a.Offer(t.Context(), "0123"); err == nil {
		t.Error("a run that is not there was brought")
	}
	unfinished := forged
	unfinished.Done = false
	if err := a.write(&unfinished); err != nil {
		t.Fatal(err)
	}
	if err := a.Offer(t.Context(), r.Key); err == nil {
		t.Error("an unfinished run was brought")
	}
}
