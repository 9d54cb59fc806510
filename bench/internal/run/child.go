package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// childVariable in the environment makes the program a child: it reads requests, a JSON object each, from standard input
// and answers on standard output until the input ends.
const childVariable = "HUSHBENCH_CHILD"

// IsChild says whether this process was started as a child.
func IsChild() bool { return os.Getenv(childVariable) != "" }

// request asks for one step. For mixes a child is opened once and then does rounds on the same map.
type request struct {
	Step string `json:"step"` // open, round, check, or the name of a single-shot work
	Impl string `json:"impl,omitempty"`
	Mix  string `json:"mix,omitempty"`
	work.Spec
}

// reply carries the outcome. Void says why it does not count.
type reply struct {
	work.Outcome
	Entries int    `json:"entries,omitempty"`
	Void    string `json:"void,omitempty"`
}

// Child serves requests until the input ends. Ctrl-C reaches the whole process group; the parent decides what to do
// about it, so a child ignores it.
func Child(in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt)
	var s server
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		if err := requests.Decode(&q); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		r, err := s.serve(q)
		if err != nil {
			r.Void = err.Error()
		}
		if err := replies.Encode(r); err != nil {
			return err
		}
	}
}

type server struct{ runner work.Runner }

func (s *server) serve(q request) (reply, error) {
	switch q.Step {
	case "open":
		return s.open(q)
	case "round":
		return s.round(q)
	case "check":
		return reply{}, s.runner.Check()
	}
	impl, err := find(q.Impl)
	if err != nil {
		return reply{}, err
	}
	out, err := work.Run(q.Step, impl, q.Spec)
	return reply{Outcome: out}, err
}

func (s *server) open(q request) (reply, error) {
	impl, err := find(q.Impl)
	if err != nil {
		return reply{}, err
	}
	if s.runner, err = work.NewRunner(impl, q.Kind, q.N); err != nil {
		return reply{}, err
	}
	return reply{Entries: s.runner.Entries()}, nil
}

func (s *server) round(q request) (reply, error) {
	mix, err := work.FindMix(q.Mix)
	if err != nil {
		return reply{}, err
	}
	out, err := s.runner.Round(mix, q.Procs, q.Time)
	if err != nil {
		return reply{}, err
	}
	nanos := float64(out.Elapsed.Nanoseconds()) / float64(out.Ops)
	return reply{Outcome: work.Outcome{Values: map[string]float64{"time": nanos}}}, nil
}

func find(name string) (peer.Impl, error) {
	impl, ok := peer.Find(name)
	if !ok {
		return impl, fmt.Errorf("unknown implementation %q", name)
	}
	return impl, nil
}
