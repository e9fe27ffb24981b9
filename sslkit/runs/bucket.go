package runs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit"
)

// Bucket is where machines that share no folder keep finished runs, on a service that speaks S3:
//
//	KEY/record.json                          the first one that was finished
//	KEY/PARAMETERS/state.json                of an encoder with parameters of this SHA-256
//	KEY/PARAMETERS/parameters.safetensors
//	KEY/PARAMETERS/scores-....json           what was measured of it
//
// The record is written last, and only where there is none (If-None-Match), so that the first who finishes a run makes it for
// all. What the second has brought lies under the digest of its own parameters, in nobody's way.
type Bucket struct {
	client       *minio.Client
	name, prefix string
}

// untrained is in place of the digest of parameters where there are none.
const untrained = "untrained"

// OpenBucket takes an address s3://BUCKET/PREFIX. Service, region and credentials are those of AWS's own tools: AWS_ENDPOINT_URL_S3,
// AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or the machine's role.
func OpenBucket(address string) (*Bucket, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("runs: %q is no s3://BUCKET/PREFIX", address)
	}
	at, err := url.Parse(cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com"))
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("runs: AWS_ENDPOINT_URL_S3, or AWS_ENDPOINT_URL, is no http:// or https:// address of a service")
	}
	client, err := minio.New(at.Host, &minio.Options{
		Creds:  credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}),
		Secure: at.Scheme == "https", Region: cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	})
	if err != nil {
		return nil, fmt.Errorf("runs: %s: %w", address, err)
	}
	return &Bucket{client, u.Host, strings.Trim(u.Path, "/")}, nil
}

func (b *Bucket) at(parts ...string) string {
	return path.Join(append([]string{b.prefix}, parts...)...)
}

func (b *Bucket) String() string { return "s3://" + path.Join(b.name, b.prefix) }

// get returns fs.ErrNotExist of what is not there.
func (b *Bucket) get(ctx context.Context, parts ...string) ([]byte, error) {
	object, err := b.client.GetObject(ctx, b.name, b.at(parts...), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer object.Close()
	content, err := io.ReadAll(object)
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("s3://%s/%s: %w", b.name, b.at(parts...), err)
	}
	return content, nil
}

// put writes an object where there is none; else it is fs.ErrExist.
func (b *Bucket) put(ctx context.Context, content io.Reader, size int64, parts ...string) error {
	var only minio.PutObjectOptions
	only.SetMatchETagExcept("*")
	_, err := b.client.PutObject(ctx, b.name, b.at(parts...), content, size, only)
	if minio.ToErrorResponse(err).Code == minio.PreconditionFailed {
		err = fs.ErrExist
	}
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", b.name, b.at(parts...), err)
	}
	return nil
}

// names lists what lies directly under a folder; folders end with a slash.
func (b *Bucket) names(ctx context.Context, parts ...string) ([]string, error) {
	under := b.at(parts...)
	if under != "" {
		under += "/"
	}
	var names []string
	for object := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: under}) {
		if object.Err != nil {
			return nil, fmt.Errorf("s3://%s/%s: %w", b.name, under, object.Err)
		}
		names = append(names, strings.TrimPrefix(object.Key, under))
	}
	return names, nil
}

// Keys are those of the runs that the bucket may have.
func (b *Bucket) Keys(ctx context.Context) ([]string, error) {
	names, err := b.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	var keys []string
	for _, name := range names {
		if key, folder := strings.CutSuffix(name, "/"); folder && IsKey(key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// record is fs.ErrNotExist where nobody has finished the run.
func (b *Bucket) record(ctx context.Context, key string) (*Record, error) {
	text, err := b.get(ctx, key, "record.json")
	if err != nil {
		return nil, err
	}
	r, err := parse(text, fmt.Sprintf("%v/%s/record.json", b, key), key)
	if err == nil && (!r.Done || r.Unchecked || r.Shipped != nil) {
		err = fmt.Errorf("%w: it is not of a finished run", ErrDamaged)
	}
	return r, err
}

// Fetch brings a finished run, with what was measured of it, from the store's bucket into the store. All is verified, as what
// the store reads is. Of a run that is not in the bucket, and without a bucket, it does nothing.
func (s *Store) Fetch(ctx context.Context, key string) error {
	if s.Bucket == nil {
		return nil
	}
	r, err := s.Bucket.record(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		err = s.fetch(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("runs: fetching run %s: %w", key, interrupted(ctx, err))
	}
	return nil
}

func (s *Store) fetch(ctx context.Context, r *Record) error {
	unlock, err := s.lock(ctx, r.Key)
	if err != nil {
		return err
	}
	defer unlock()
	if mine, err := s.readAt(s.path(r.Key, "record.json"), r.Key); err != nil || !mine.Done || mine.Parameters != r.Parameters {
		if err := s.replace(ctx, r); err != nil {
			return err
		}
		s.Tell(Progress{Key: r.Key, Now: fmt.Sprintf("run %s: fetched from %v", r.Key, s.Bucket)})
	}
	names, err := s.Bucket.names(ctx, r.Key, r.folder())
	if err != nil {
		return err
	}
	for _, name := range names {
		if !measuredName.MatchString(name) || s.Has(r, name) {
			continue
		}
		text, err := s.Bucket.get(ctx, r.Key, r.folder(), name)
		if err != nil {
			return err
		}
		var m measurement[json.RawMessage]
		if err := sealed.Unmarshal(text, &m); err != nil || m.Of != r.origin(name) || m.Found == nil {
			s.Tell(Progress{Key: r.Key, Note: fmt.Sprintf("%v/%s/%s/%s is not what was written, and is not used", s.Bucket, r.Key, r.folder(), name)})
			continue
		}
		if err := write(s.path(r.Key, name), m); err != nil {
			return err
		}
	}
	return nil
}

// measuredName is that of a file that [Once] writes.
var measuredName = regexp.MustCompile(`^(scores|dense|finetune|colors|holes|geometry|image-text)(-[0-9a-f]+)?\.json$`)

// folder is where a run's encoder lies in a bucket.
func (r *Record) folder() string { return cmp.Or(r.Parameters, untrained) }

// replace sets a run of the bucket in the place of what the store has of it. The record goes first and comes last: killed in
// between, what is left does not pass for a finished run.
func (s *Store) replace(ctx context.Context, r *Record) error {
	if err := os.MkdirAll(s.path(r.Key), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.path(r.Key), "fetched-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if r.Parameters != "" {
		for _, name := range []string{"state.json", "parameters.safetensors"} {
			content, err := s.Bucket.get(ctx, r.Key, r.folder(), name)
			if err == nil {
				err = os.WriteFile(filepath.Join(tmp, name), content, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	if err := os.Remove(s.path(r.Key, "record.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.Parameters != "" {
		if err := sslkit.PlaceFinal(s.path(r.Key, "checkpoints"), tmp, r.Parameters); err != nil {
			return err
		}
	}
	return s.write(r)
}

// Offer brings a finished run of the store, and what was measured of it, to the store's bucket. If another was first with other
// parameters, its run takes the place of this one here, too. Runs that came with the checkout stay, and without a bucket it does nothing.
func (s *Store) Offer(ctx context.Context, prefix string) error {
	if s.Bucket == nil {
		return nil
	}
	r, err := s.Get(prefix)
	if err != nil {
		return err
	}
	if r.Shipped != nil {
		return nil
	}
	if !r.Done || r.Unchecked {
		return fmt.Errorf("runs: run %s is not finished, or older than checksums", r.Key)
	}
	if err := s.offer(ctx, r); err != nil {
		return fmt.Errorf("runs: bringing run %s to %v: %w", r.Key, s.Bucket, interrupted(ctx, err))
	}
	return nil
}

func (s *Store) offer(ctx context.Context, r *Record) error {
	first, err := s.Bucket.record(ctx, r.Key)
	if errors.Is(err, fs.ErrNotExist) {
		if first, err = s.bring(ctx, r); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if first.Parameters != r.Parameters {
		s.Tell(Progress{Key: r.Key, Note: fmt.Sprintf("run %s was finished elsewhere first, with other parameters, and is replaced by that one", r.Key)})
		return s.fetch(ctx, first)
	}
	files, err := filepath.Glob(s.path(r.Key, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if name := filepath.Base(file); measuredName.MatchString(name) && s.Has(r, name) {
			if err := s.upload(ctx, r, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring uploads the encoder and then the record, and returns the record that the bucket has now: that of who was first.
func (s *Store) bring(ctx context.Context, r *Record) (*Record, error) {
	if r.Parameters != "" {
		files, err := sslkit.FinalFiles(s.path(r.Key, "checkpoints"), r.Parameters)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := s.upload(ctx, r, file); err != nil {
				return nil, err
			}
		}
	}
	text, err := sealed.Marshal(r)
	if err != nil {
		return nil, err
	}
	err = s.Bucket.put(ctx, bytes.NewReader(text), int64(len(text)), r.Key, "record.json")
	if errors.Is(err, fs.ErrExist) {
		return s.Bucket.record(ctx, r.Key)
	}
	return r, err
}

// upload brings a file beside the run's parameters, where it is not there yet.
func (s *Store) upload(ctx context.Context, r *Record, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err = s.Bucket.put(ctx, f, info.Size(), r.Key, r.folder(), filepath.Base(file)); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
