package cli

import (
	"github.com/google/renameio/v2"
	"github.com/parquet-go/parquet-go"
)

// parquetRow is a row of a file of features. What an image has none of is null.
type parquetRow struct {
	Split    string    `parquet:"split,dict"`
	Index    int64     `parquet:"index"`
	Label    *string   `parquet:"label,dict,optional"`
	Path     *string   `parquet:"path,optional"`
	Features []float32 `parquet:"features,list"`
}

// groupBytes is about what the features of a row group take, which are in memory until it is whole; a variable for the tests.
var groupBytes = 32 << 20

// parquetFeatures writes row groups.
type parquetFeatures struct {
	*renameio.PendingFile
	w    *parquet.GenericWriter[parquetRow]
	held int // bytes of features in the group under way
}

func newParquet(file *renameio.PendingFile) *parquetFeatures {
	return &parquetFeatures{PendingFile: file, w: parquet.NewGenericWriter[parquetRow](file)}
}

func (f *parquetFeatures) add(x example) error {
	row := parquetRow{Split: x.split, Index: int64(x.index), Features: x.features}
	if x.label != "" {
		row.Label = &x.label
	}
	if x.path != "" {
		row.Path = &x.path
	}
	if _, err := f.w.Write([]parquetRow{row}); err != nil {
		return err
	}
	if f.held += 4 * len(x.features); f.held < groupBytes {
		return nil
	}
	f.held = 0
	return f.w.Flush()
}

func (f *parquetFeatures) finish() error {
	if err := f.w.Close(); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
