// An independent check of an audit export, built only on code that nobody here wrote: the signed-note and
// transparency-log packages of Go's own checksum database (golang.org/x/mod/sumdb), as they are shipped with Go.
//
// usage: check-export EXPORT.tar
//
// It opens the checkpoint with the key in log/vkey, reads every record from the entry bundles, recomputes the root of
// the whole tree, and compares. Exit code 0 only if all of it agrees.
package main

import (
	"archive/tar"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check-export EXPORT.tar")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func check(path string) error {
	files, err := read(path)
	if err != nil {
		return err
	}
	origin, size, root, err := checkpoint(files)
	if err != nil {
		return err
	}
	records, err := entries(files, size)
	if err != nil {
		return err
	}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(hashes)) {
				return nil, errors.New("a hash is not there yet")
			}
			out[i] = hashes[index]
		}
		return out, nil
	})
	for i, record := range records {
		more, err := tlog.StoredHashes(int64(i), record, reader)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
	}
	computed, err := tlog.TreeHash(size, reader)
	if err != nil {
		return err
	}
	if computed != root {
		return errors.New("the records do not hash to the root that was signed")
	}
	fmt.Printf("%s: %d records, root %s\n", origin, size, root)
	return nil
}

// checkpoint opens the signed note and returns its three lines.
func checkpoint(files map[string][]byte) (string, int64, tlog.Hash, error) {
	var verifiers []note.Verifier
	for _, line := range strings.Fields(string(files["log/vkey"])) {
		verifier, err := note.NewVerifier(line)
		if err != nil {
			return "", 0, tlog.Hash{}, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(files["log/checkpoint"], note.VerifierList(verifiers...))
	if err != nil {
		return "", 0, tlog.Hash{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return "", 0, tlog.Hash{}, errors.New("the checkpoint has too few lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return "", 0, tlog.Hash{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(raw) != tlog.HashSize {
		return "", 0, tlog.Hash{}, errors.New("the root is not a hash")
	}
	return lines[0], size, tlog.Hash(raw), nil
}

// entries reads every record: u16 big-endian length and bytes, 256 records a bundle.
func entries(files map[string][]byte, size int64) ([][]byte, error) {
	var records [][]byte
	for bundle := int64(0); bundle*256 < size; bundle++ {
		name := "log/tile/entries/" + index(bundle)
		if width := size - bundle*256; width < 256 {
			name += fmt.Sprintf(".p/%d", width)
		}
		data, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("%s is missing", name)
		}
		for len(data) > 0 {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("%s is cut", name)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			records = append(records, data[2:end])
			data = data[end:]
		}
	}
	if int64(len(records)) != size {
		return nil, fmt.Errorf("%d records for a tree of %d", len(records), size)
	}
	return records, nil
}

// index writes a bundle's number in groups of three digits, all but the last with an x (C2SP tlog-tiles).
func index(n int64) string {
	out := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		out = fmt.Sprintf("x%03d/%s", n%1000, out)
	}
	return out
}

func read(path string) (map[string][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	files := map[string][]byte{}
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
}
