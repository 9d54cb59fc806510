package peer

// BatchLen is the number of keys in a batch: about what a request for many keys brings, and enough for hushmap to have
// several groups of keys under way most of the time.
const BatchLen = 64

var hushmapBatchImpl = Impl{
	Name:       SubjectBatch,
	Module:     "github.com/hushmap/hushmap",
	Concurrent: true,
	Batches:    true,
	Remark:     "LoadBatch, StoreBatch and DeleteBatch of hushmap, with 64 keys each",
	Uint64:     bindHushBatchUint64,
	String:     bindHushBatchString,
	Any:        bindHushBatchAny,
}
