package hushmap

import "testing"

// The fuzz targets play streams of operations; see stPlay in model_test.go. Run one with
//
//	go test -run='^$' -fuzz=FuzzString -fuzztime=1m -fuzzminimizetime=1x .
func FuzzUint64(f *testing.F) { stFuzz(f, "uint64") }
func FuzzString(f *testing.F) { stFuzz(f, "string") }
func FuzzAny(f *testing.F)    { stFuzz(f, "any") }
func FuzzFloat(f *testing.F)  { stFuzz(f, "float") }
func FuzzStruct(f *testing.F) { stFuzz(f, "struct") }

func stFuzz(f *testing.F, model string) {
	for c := range stConfigs {
		f.Add(stStream(1, c, 60))
		f.Add(stStream(2, c, 400))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<12 {
			t.Skip("long streams are slow and tell no more")
		}
		stPlay(t, stModels[model], stream)
	})
}
