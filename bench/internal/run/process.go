package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a child and the pipes to it.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr tail
}

// start runs this program again as a child. It dies with ctx.
func start(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), childVariable+"=1")
	p.cmd.Stderr = &p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	return p, p.cmd.Start()
}

// ask sends a request and waits for the reply, at most so long. After an error the child is of no more use.
func (p *process) ask(q request, patience time.Duration) (reply, error) {
	var r reply
	b, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }) // it may have ended already
	_, err = p.in.Write(append(b, '\n'))
	if err == nil {
		err = p.out.Decode(&r)
	}
	if !late.Stop() {
		p.stop()
		return r, fmt.Errorf("gave up after %v", patience)
	}
	if err != nil {
		p.stop()
		return r, fmt.Errorf("crashed: %s", p.stderr.firstLine())
	}
	return r, nil
}

// stop ends the child: it leaves when its input ends.
func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // how it ended is known from its last reply
}

// tail keeps the start of what is written to it: a Go crash says first why, and then where at length.
type tail struct{ buf bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if room := 4096 - t.buf.Len(); room > 0 {
		t.buf.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

func (t *tail) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(t.buf.String()), "\n")
	if line == "" {
		return "no message"
	}
	return line
}
