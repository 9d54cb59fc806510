package work

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxText bounds the text of real keys: a few million identifiers are plenty, and reading stays under a second.
const maxText = 3 << 20

// Text is a sequence of words by their ids, and the words.
type Text struct {
	Words []string
	IDs   []uint32
}

// GoSourceText reads the identifiers of the Go installation's source, in the order in which they stand there. The ids
// are shuffled: otherwise the frequent words would have the lowest.
func GoSourceText() (Text, error) {
	root, err := goRoot()
	if err != nil {
		return Text{}, err
	}
	var t Text
	ids := make(map[string]uint32)
	err = filepath.WalkDir(filepath.Join(root, "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		scanIdentifiers(src, func(word []byte) { t.add(ids, word) })
		if len(t.IDs) >= maxText {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return Text{}, err
	}
	if len(t.Words) < 1000 {
		return Text{}, errors.New("no Go source found: " + root)
	}
	t.shuffle()
	return t, nil
}

// goRoot asks the go command, as a program built with -trimpath does not know.
func goRoot() (string, error) {
	if root := os.Getenv("GOROOT"); root != "" {
		return root, nil
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", errors.New("no Go installation found, so there are no real keys: " + err.Error())
	}
	return strings.TrimSpace(string(out)), nil
}

func (t *Text) add(ids map[string]uint32, word []byte) {
	id, ok := ids[string(word)]
	if !ok {
		id = uint32(len(t.Words))
		ids[string(word)] = id
		t.Words = append(t.Words, string(word))
	}
	t.IDs = append(t.IDs, id)
}

func (t *Text) shuffle() {
	perm := rand.New(rand.NewPCG(1, 2)).Perm(len(t.Words))
	words := make([]string, len(t.Words))
	for from, to := range perm {
		words[to] = t.Words[from]
	}
	t.Words = words
	for i, id := range t.IDs {
		t.IDs[i] = uint32(perm[id])
	}
}

// scanIdentifiers calls fn for each word of Go source outside line comments. Words in strings and block
// comments count as well: they are words that occur, and a parser would take ten times as long.
func scanIdentifiers(src []byte, fn func([]byte)) {
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '/' && i+1 < len(src) && src[i+1] == '/':
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case isLetter(c):
			start := i
			for i < len(src) && (isLetter(src[i]) || src[i] >= '0' && src[i] <= '9') {
				i++
			}
			fn(src[start:i])
		default:
			i++
		}
	}
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
