// What a transparency log's own tools say of our notes and proofs: golang.org/x/mod/sumdb, which checks Go's module
// database.  Reads JSON from standard input, prints what was checked, and fails at the first that is wrong; each proof
// is also tried with one bit changed, which must fail.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Public string
	Secret string
	Notes  []string
	Proofs []string
	Trees  []struct {
		From, To         int64
		FromRoot, ToRoot string
		Hashes           []string
	}
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, what, err)
	os.Exit(1)
}

func hash(text string) (h tlog.Hash) {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(bytes) != len(h) {
		fail("hash", err)
	}
	copy(h[:], bytes)
	return h
}

func hashes(lines []string) []tlog.Hash {
	result := []tlog.Hash{}
	for _, line := range lines {
		result = append(result, hash(line))
	}
	return result
}

func open(message string, verifiers note.Verifiers) (size int64, root tlog.Hash, text string) {
	opened, err := note.Open([]byte(message), verifiers)
	if err != nil {
		fail("note.Open", err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("size", err)
	}
	return size, hash(lines[2]), opened.Text
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		fail("input", err)
	}
	verifier, err := note.NewVerifier(in.Public)
	if err != nil {
		fail("note.NewVerifier", err)
	}
	verifiers := note.VerifierList(verifier)
	text := ""
	for _, message := range in.Notes {
		_, _, text = open(message, verifiers)
		if _, err := note.Open([]byte(strings.Replace(message, "\n", "x\n", 1)), verifiers); err == nil {
			fail("note.Open took a changed note", nil)
		}
	}
	for _, proof := range in.Proofs {
		parts := strings.SplitN(proof, "\n\n", 2)
		lines := strings.Split(parts[0], "\n")
		leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
		if err != nil || lines[0] != "c2sp.org/tlog-proof@v1" {
			fail("proof", err)
		}
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
		if err != nil {
			fail("index", err)
		}
		size, root, _ := open(parts[1], verifiers)
		path := tlog.RecordProof(hashes(lines[3:]))
		if err := tlog.CheckRecord(path, size, root, index, tlog.RecordHash(leaf)); err != nil {
			fail("tlog.CheckRecord", err)
		}
		leaf[len(leaf)-2] ^= 1
		if tlog.CheckRecord(path, size, root, index, tlog.RecordHash(leaf)) == nil {
			fail("tlog.CheckRecord took another leaf", nil)
		}
	}
	for _, tree := range in.Trees {
		path, from, to := tlog.TreeProof(hashes(tree.Hashes)), hash(tree.FromRoot), hash(tree.ToRoot)
		if err := tlog.CheckTree(path, tree.To, to, tree.From, from); err != nil {
			fail("tlog.CheckTree", err)
		}
		from[0] ^= 1
		if tlog.CheckTree(path, tree.To, to, tree.From, from) == nil {
			fail("tlog.CheckTree took another tree", nil)
		}
	}
	signer, err := note.NewSigner(in.Secret)
	if err != nil {
		fail("note.NewSigner", err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		fail("note.Sign", err)
	}
	fmt.Printf("%d %d %d %x\n%s", len(in.Notes), len(in.Proofs), len(in.Trees), sha256.Sum256([]byte(text)), signed)
}
