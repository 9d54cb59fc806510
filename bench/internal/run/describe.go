package run

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
)

// busyLoad is the load average, of the last minute, from which a warning is given before anything is measured.
const busyLoad = 0.5

// describe notes who takes part and on what machine.
func (s *Session) describe() {
	f := s.File
	f.Versions, f.Remarks = map[string]string{}, map[string]string{}
	versions := moduleVersions()
	for _, impl := range s.impls {
		f.Peers = append(f.Peers, impl.Name)
		if !impl.Concurrent {
			f.NotPeers = append(f.NotPeers, impl.Name)
		}
		f.Versions[impl.Name] = version(impl, versions)
		if impl.Remark != "" {
			f.Remarks[impl.Name] = impl.Remark
		}
	}
	f.Meta = result.Meta{
		Date:   time.Now().UTC().Format("2006-01-02 15:04 MST"),
		Go:     runtime.Version(),
		OS:     runtime.GOOS + "/" + runtime.GOARCH,
		CPU:    cpuModel(),
		Cores:  runtime.GOMAXPROCS(0),
		Rounds: s.Rounds,
	}
	if load := loadAverage(); load > busyLoad {
		f.Warn("the machine was busy before the run began: load average %.1f", load)
	}
}

func version(impl peer.Impl, versions map[string]string) string {
	if impl.Module == "" {
		return runtime.Version()
	}
	if v := versions[impl.Module]; v != "" {
		return v
	}
	return "unknown"
}

// moduleVersions reads the versions that this program was built with. The subject is built from the directory beside, which
// has none.
func moduleVersions() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		versions[m.Path] = m.Version
		if m.Replace != nil {
			versions[m.Path] = "this tree"
		}
	}
	return versions
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func loadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// meminfo reads a line of /proc/meminfo in bytes, or 0.
func meminfo(text, field string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib * 1024
		}
	}
	return 0
}
