//===- DmaTraffic.h - The DRAM requests of a copy -----------------*- C++ -*-===//
//
// A copy's side in DRAM as contiguous runs in address order, cut into requests of up to one
// 4 KiB block.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Program.h"
#include "simulator/functional/Functional.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace npucc {

/// Walks strided bytes as contiguous pieces, lowest stride innermost: the engine orders its
/// requests by DRAM address, whatever the order in scratchpad.
class RunCursor {
public:
  struct Dim {
    int64_t extent, stride;
  };
  RunCursor() = default;
  RunCursor(int64_t base, int64_t elementBytes, llvm::ArrayRef<Dim> dims);

  /// Rows at scattered places: row i lies at a place drawn from i alone, among `rowPlaces`
  /// that are `rowStride` bytes apart (an index-driven copy, whose time must not need data).
  void scatter(int64_t rows, int64_t rowPlaces, int64_t rowStride);

  struct Run {
    int64_t address, bytes;
  };
  /// The next piece of at most `limit` bytes that stays inside a kRequestBytes block; false
  /// at the end.
  bool next(int64_t limit, Run &run);
  bool active() const { return remaining > 0; }

  static constexpr int64_t kRequestBytes = 4096;

private:
  void startRun();

  llvm::SmallVector<Dim, 6> outer; ///< innermost first
  llvm::SmallVector<int64_t, 6> counter;
  int64_t base = 0, runBytes = 0, remaining = 0; ///< remaining: bytes of the whole walk
  int64_t runAddress = 0, runLeft = 0;
  int64_t row = 0, rowPlaces = 0, rowStride = 0;
};

/// What one request of a copy reads and writes in DRAM.
struct DmaRequest {
  llvm::SmallVector<RunCursor::Run, 16> reads, writes;
  int64_t bytes = 0;
};

class DmaTraffic {
public:
  /// `box`: extents after clipping.
  DmaTraffic(const Program &program, const DmaCommand &command, const StreamState &state,
             const DmaBox &box);
  DmaTraffic(const Program &program, const GatherCommand &command, const StreamState &state,
             llvm::ArrayRef<int64_t> indexExtents, const DmaBox &row);

  /// Up to kRequestBytes, or kMaxRuns short runs; false at the end.
  bool next(DmaRequest &request);
  bool reads() const { return readsDram; }
  bool writes() const { return writesDram; }
  int64_t totalBytes() const { return total; }
  /// Lowest address read from DRAM.
  int64_t firstRead() const { return readBase; }

  static constexpr size_t kMaxRuns = 64;

private:
  RunCursor source, target;
  bool readsDram = false, writesDram = false;
  int64_t total = 0, readBase = 0;
  RunCursor::Run indices{0, 0}; ///< index tensor of a gather, when in DRAM
};

} // namespace npucc
