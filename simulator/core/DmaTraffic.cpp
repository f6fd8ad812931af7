//===- DmaTraffic.cpp - The DRAM requests of a copy ---------------------------===//

#include "simulator/core/DmaTraffic.h"

#include <algorithm>

namespace npucc {

RunCursor::RunCursor(int64_t start, int64_t elementBytes, llvm::ArrayRef<Dim> dims)
    : base(start), runBytes(elementBytes), remaining(elementBytes) {
  for (const Dim &dim : dims) {
    remaining *= dim.extent;
    if (dim.extent <= 1)
      continue;
    Dim positive = dim;
    if (dim.stride < 0) {
      base += (dim.extent - 1) * dim.stride;
      positive.stride = -dim.stride;
    }
    outer.push_back(positive);
  }
  // Lowest stride innermost, repeats (stride 0) outermost.
  auto key = [](const Dim &dim) { return dim.stride ? dim.stride : INT64_MAX; };
  for (size_t i = 1; i < outer.size(); ++i)
    for (size_t j = i; j > 0 && key(outer[j]) < key(outer[j - 1]); --j)
      std::swap(outer[j], outer[j - 1]);
  size_t merged = 0;
  while (merged < outer.size() && outer[merged].stride == runBytes)
    runBytes *= outer[merged++].extent;
  outer.erase(outer.begin(), outer.begin() + merged);
  counter.assign(outer.size(), 0);
  runAddress = base;
  runLeft = runBytes;
}

void RunCursor::scatter(int64_t rows, int64_t places, int64_t stride) {
  rowPlaces = std::max<int64_t>(places, 1);
  rowStride = stride;
  remaining *= rows;
  startRun();
}

void RunCursor::startRun() {
  runAddress = base;
  for (size_t d = 0; d < outer.size(); ++d)
    runAddress += counter[d] * outer[d].stride;
  if (rowPlaces) {
    // Fibonacci hashing (Knuth, vol. 3, 6.4) spreads consecutive rows.
    uint64_t hash = static_cast<uint64_t>(row + 1) * 0x9E3779B97F4A7C15ull;
    runAddress += static_cast<int64_t>((hash >> 32) % static_cast<uint64_t>(rowPlaces)) * rowStride;
  }
  runLeft = runBytes;
}

bool RunCursor::next(int64_t limit, Run &run) {
  if (remaining <= 0)
    return false;
  int64_t blockLeft = kRequestBytes - (runAddress & (kRequestBytes - 1));
  run.address = runAddress;
  run.bytes = std::min({runLeft, blockLeft, limit});
  runAddress += run.bytes;
  runLeft -= run.bytes;
  remaining -= run.bytes;
  if (runLeft == 0 && remaining > 0) {
    size_t d = 0;
    while (d < outer.size() && ++counter[d] == outer[d].extent)
      counter[d++] = 0;
    if (d == outer.size())
      ++row;
    startRun();
  }
  return true;
}

namespace {

int64_t storedBytes(ElementType type) {
  return std::max<int64_t>(1, static_cast<int64_t>(bitWidth(type)) / 8);
}

RunCursor cursor(int64_t base, ElementType type, llvm::ArrayRef<DmaCommand::Dim> dims,
                 const DmaBox &box, bool source) {
  llvm::SmallVector<RunCursor::Dim, 6> strided;
  for (size_t d = 0; d < dims.size(); ++d) {
    int64_t stride = source ? dims[d].sourceStride : dims[d].targetStride;
    base += box.first[d] * stride;
    strided.push_back({box.count[d], stride});
  }
  return RunCursor(base, storedBytes(type), strided);
}

} // namespace

DmaTraffic::DmaTraffic(const Program &program, const DmaCommand &command, const StreamState &state,
                       const DmaBox &box) {
  total = storedBytes(command.type);
  for (int64_t count : box.count)
    total *= count;
  if (total == 0)
    return;
  readsDram = command.source.space == Space::Dram;
  writesDram = command.target.space == Space::Dram;
  if (readsDram) {
    readBase = resolve(command.source, program, state);
    source = cursor(readBase, command.type, command.dims, box, true);
  }
  if (writesDram)
    target =
        cursor(resolve(command.target, program, state), command.type, command.dims, box, false);
}

DmaTraffic::DmaTraffic(const Program &program, const GatherCommand &command,
                       const StreamState &state, llvm::ArrayRef<int64_t> indexExtents,
                       const DmaBox &row) {
  int64_t count = 1;
  for (int64_t extent : indexExtents)
    count *= extent;
  total = storedBytes(command.type) * count;
  for (int64_t extent : row.count)
    total *= extent;
  if (total == 0)
    return;
  readsDram = command.source.space == Space::Dram;
  writesDram = command.target.space == Space::Dram;
  if (readsDram) {
    readBase = resolve(command.source, program, state);
    source = cursor(readBase, command.type, command.row, row, true);
    source.scatter(count, command.axisSize, command.axisStride);
  }
  if (writesDram) {
    int64_t base = resolve(command.target, program, state);
    llvm::SmallVector<RunCursor::Dim, 6> dims;
    for (size_t d = 0; d < command.row.size(); ++d) {
      base += row.first[d] * command.row[d].targetStride;
      dims.push_back({row.count[d], command.row[d].targetStride});
    }
    for (size_t d = 0; d < indexExtents.size(); ++d)
      dims.push_back({indexExtents[d], command.targetIndexStrides[d]});
    target = RunCursor(base, storedBytes(command.type), dims);
  }
  if (command.indices.address.space == Space::Dram) {
    indices = {resolve(command.indices.address, program, state),
               count * storedBytes(command.indices.type)};
    readsDram = true;
  }
}

bool DmaTraffic::next(DmaRequest &request) {
  request.reads.clear();
  request.writes.clear();
  request.bytes = 0;
  if (indices.bytes > 0) { // before the first row
    request.reads.push_back(indices);
    indices.bytes = 0;
  }
  RunCursor &leader = source.active() ? source : target;
  auto &runs = source.active() ? request.reads : request.writes;
  RunCursor::Run run{0, 0};
  while (request.bytes < RunCursor::kRequestBytes && runs.size() < kMaxRuns &&
         leader.next(RunCursor::kRequestBytes - request.bytes, run)) {
    runs.push_back(run);
    request.bytes += run.bytes;
  }
  // A copy within DRAM writes as much as it has read.
  if (&leader == &source && writesDram)
    for (int64_t left = request.bytes; left > 0 && target.next(left, run); left -= run.bytes)
      request.writes.push_back(run);
  return !request.reads.empty() || !request.writes.empty();
}

} // namespace npucc
