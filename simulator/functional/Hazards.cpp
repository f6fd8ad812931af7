//===- Hazards.cpp - Are conflicting accesses ordered? --------------------===//

#include "simulator/functional/Hazards.h"

#include "runtime/onnx/Errors.h"
#include "simulator/functional/Elements.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace npucc;

namespace {

constexpr int64_t kPageBytes = 4096;
constexpr uint32_t kNever = 0, kBeforeStart = 1;
constexpr size_t kMaxReports = 16;
constexpr const char *kSpaces[] = {"DRAM", "scratchpad", "accumulator"};

/// Sorted and joined where they touch.
template <class Range> void normalise(std::vector<Range> &ranges) {
  llvm::sort(ranges, [](const Range &a, const Range &b) { return a.begin < b.begin; });
  size_t kept = 0;
  for (const Range &range : ranges) {
    if (range.begin >= range.end)
      continue;
    if (kept && range.begin <= ranges[kept - 1].end)
      ranges[kept - 1].end = std::max(ranges[kept - 1].end, range.end);
    else
      ranges[kept++] = range;
  }
  ranges.resize(kept);
}

/// The first range that ends after `begin`.
template <class Range> auto firstAfter(const std::vector<Range> &ranges, int64_t begin) {
  return std::upper_bound(ranges.begin(), ranges.end(), begin,
                          [](int64_t at, const Range &range) { return at < range.end; });
}

struct Run {
  int64_t extent, stride;
};

} // namespace

/// The shadow of 4 KiB. One entry stands for 2^shift bytes that were always accessed
/// together; an access with odd edges makes the entries finer, so that the check stays exact.
struct HazardChecker::Page {
  unsigned shift = 6;
  std::vector<uint32_t> writer;
  std::vector<std::vector<uint32_t>> readers; ///< by stream; empty: never read by it

  explicit Page(size_t streams) : writer(kPageBytes >> shift, kNever), readers(streams) {}

  void fit(int64_t begin, int64_t end) {
    auto edges = static_cast<uint64_t>(begin | end);
    unsigned wanted = shift;
    while (edges & ((uint64_t(1) << wanted) - 1))
      wanted = wanted > 4 ? 4 : wanted > 2 ? 2 : 0;
    if (wanted == shift)
      return;
    unsigned factor = shift - wanted;
    auto refine = [&](std::vector<uint32_t> &entries) {
      if (entries.empty())
        return;
      std::vector<uint32_t> finer(kPageBytes >> wanted);
      for (size_t i = 0; i < finer.size(); ++i)
        finer[i] = entries[i >> factor];
      entries.swap(finer);
    };
    refine(writer);
    for (std::vector<uint32_t> &reader : readers)
      refine(reader);
    shift = wanted;
  }
};

HazardChecker::HazardChecker(const Program &program, int64_t spmBytes, int64_t accBytes)
    : program(program), clocks(program.streams.size(), Clock(program.streams.size(), 0)),
      events(2, Event{-1, -1, 0, 0}) {
  for (const Semaphore &semaphore : program.semaphores)
    semaphores.push_back({semaphore.initial, {}});
  const int64_t bytes[] = {program.dramBytes, spmBytes, accBytes};
  for (int s = 0; s < 3; ++s)
    pages[s].resize((bytes[s] + kPageBytes - 1) / kPageBytes);
  for (const ProgramTensor &tensor : program.tensors) {
    if (tensor.kind != ProgramTensor::Kind::Input && tensor.kind != ProgramTensor::Kind::Constant)
      continue;
    int64_t end = tensor.address + elementBytes(tensor.type);
    for (auto [size, stride] : llvm::zip(tensor.shape, tensor.strides))
      end += (size - 1) * stride;
    Range range{tensor.address, std::max(end, tensor.address + tensor.bytes)};
    if (llvm::is_contained(tensor.shape, 0))
      continue;
    initial.push_back(range);
    if (tensor.kind == ProgramTensor::Kind::Constant)
      constants.push_back(range);
  }
  normalise(initial);
  normalise(constants);
}

HazardChecker::~HazardChecker() = default;

void HazardChecker::recordFlows() {
  watchesFlows = true;
  runs.assign(program.streams.size(), std::vector<uint32_t>(program.commands.size(), 0));
}

void HazardChecker::expectFlows(std::shared_ptr<const FlowSet> flows) {
  expected = std::move(flows);
  if (expected)
    recordFlows();
}

void HazardChecker::signal(int stream, int semaphore) {
  semaphores[semaphore].signalled.push_back(clocks[stream]);
}

void HazardChecker::wait(int stream, int semaphore) {
  Tokens &tokens = semaphores[semaphore];
  if (tokens.initial > 0) {
    --tokens.initial;
    return;
  }
  if (tokens.signalled.empty())
    return;
  Clock &clock = clocks[stream];
  for (auto [mine, other] : llvm::zip(clock, tokens.signalled.front()))
    mine = std::max(mine, other);
  tokens.signalled.pop_front();
}

bool HazardChecker::ordered(uint32_t event, int stream) const {
  const Event &e = events[event];
  return e.stream < 0 || e.sequence <= clocks[stream][e.stream];
}

void HazardChecker::run(int stream, int commandIndex, llvm::ArrayRef<Footprint> footprints) {
  auto event = static_cast<uint32_t>(events.size());
  uint32_t sequence = ++clocks[stream][stream];
  events.push_back(
      {stream, commandIndex, sequence, watchesFlows ? runs[stream][commandIndex]++ : 0});
  for (bool write : {false, true})
    for (const Footprint &footprint : footprints)
      if (footprint.write == write)
        visit(footprint, stream, event);
  if (watchesFlows)
    settleSources(event);
}

/// Walks the bytes of a footprint as contiguous runs. Dimensions whose strides overlap or
/// continue each other (windows, rows) are made one first.
void HazardChecker::visit(const Footprint &footprint, int stream, uint32_t event) {
  int64_t base = footprint.base;
  llvm::SmallVector<Run, 8> dims{{footprint.elementBytes, 1}};
  for (auto [extent, stride] : llvm::zip(footprint.extents, footprint.strides)) {
    if (extent <= 0)
      return;
    if (extent == 1 || stride == 0)
      continue;
    if (stride < 0)
      base += (extent - 1) * stride;
    dims.push_back({extent, std::abs(stride)});
  }
  std::sort(dims.begin() + 1, dims.end(),
            [](const Run &a, const Run &b) { return a.stride < b.stride; });
  llvm::SmallVector<Run, 8> merged;
  for (const Run &dim : dims) {
    if (!merged.empty() && dim.stride % merged.back().stride == 0 &&
        dim.stride / merged.back().stride <= merged.back().extent)
      merged.back().extent += dim.stride / merged.back().stride * (dim.extent - 1);
    else
      merged.push_back(dim);
  }
  int64_t run = merged.front().extent;
  llvm::SmallVector<int64_t, 8> index(merged.size(), 0);
  while (true) {
    access(footprint.space, base, base + run, footprint.write, stream, event);
    size_t d = 1;
    for (; d < merged.size(); ++d) {
      base += merged[d].stride;
      if (++index[d] < merged[d].extent)
        break;
      base -= merged[d].extent * merged[d].stride;
      index[d] = 0;
    }
    if (d >= merged.size())
      return;
  }
}

HazardChecker::Page *HazardChecker::page(Space space, int64_t number) {
  std::unique_ptr<Page> &slot = pages[static_cast<size_t>(space)][number];
  if (slot)
    return slot.get();
  slot = std::make_unique<Page>(program.streams.size());
  if (space != Space::Dram)
    return slot.get();
  int64_t first = number * kPageBytes;
  for (auto it = firstAfter(initial, first); it != initial.end() && it->begin < first + kPageBytes;
       ++it) {
    int64_t begin = std::max(it->begin - first, int64_t(0));
    int64_t end = std::min(it->end - first, kPageBytes);
    slot->fit(begin, end);
    std::fill(slot->writer.begin() + (begin >> slot->shift),
              slot->writer.begin() + (end >> slot->shift), kBeforeStart);
  }
  return slot.get();
}

void HazardChecker::access(Space space, int64_t begin, int64_t end, bool write, int stream,
                           uint32_t event) {
  int64_t last = static_cast<int64_t>(pages[static_cast<size_t>(space)].size()) * kPageBytes;
  begin = std::max<int64_t>(begin, 0); // what lies outside is execute()'s error
  end = std::min(end, last);
  if (space == Space::Dram && begin < end) {
    auto constant = firstAfter(constants, begin);
    if (constant != constants.end() && constant->begin < end) {
      if (write)
        report(Conflict::Constant, space, std::max(begin, constant->begin),
               std::min(end, constant->end), kBeforeStart, event);
      else if (constant->begin <= begin && end <= constant->end)
        return;
    }
  }
  while (begin < end) {
    int64_t number = begin / kPageBytes, first = number * kPageBytes;
    int64_t stop = std::min(end, first + kPageBytes);
    Page &shadow = *page(space, number);
    shadow.fit(begin - first, stop - first);
    size_t from = (begin - first) >> shadow.shift, to = (stop - first) >> shadow.shift;
    auto check = [&](const std::vector<uint32_t> &entries, Conflict conflict) {
      uint32_t good = kBeforeStart;
      for (size_t i = from; i < to; ++i) {
        uint32_t other = entries[i];
        if (other == good)
          continue;
        bool fine = other == kNever ? conflict != Conflict::ReadAfterWrite : ordered(other, stream);
        if (fine) {
          good = other;
          continue;
        }
        size_t same = i + 1;
        while (same < to && entries[same] == other)
          ++same;
        report(other == kNever ? Conflict::Undefined : conflict, space,
               first + int64_t(i << shadow.shift), first + int64_t(same << shadow.shift), other,
               event);
        i = same - 1;
      }
    };
    if (write) {
      check(shadow.writer, Conflict::WriteAfterWrite);
      for (size_t s = 0; s < shadow.readers.size(); ++s)
        if (static_cast<int>(s) != stream && !shadow.readers[s].empty())
          check(shadow.readers[s], Conflict::WriteAfterRead);
      std::fill(shadow.writer.begin() + from, shadow.writer.begin() + to, event);
    } else {
      check(shadow.writer, Conflict::ReadAfterWrite);
      if (watchesFlows)
        noteSources(shadow, space, first, from, to);
      if (static_cast<size_t>(stream) < shadow.readers.size()) { // not the host
        std::vector<uint32_t> &mine = shadow.readers[stream];
        if (mine.empty())
          mine.assign(shadow.writer.size(), kNever);
        std::fill(mine.begin() + from, mine.begin() + to, event);
      }
    }
    begin = stop;
  }
}

void HazardChecker::noteSources(const Page &shadow, Space space, int64_t first, size_t from,
                                size_t to) {
  for (size_t i = from; i < to;) {
    uint32_t writer = shadow.writer[i];
    size_t same = i + 1;
    while (same < to && shadow.writer[same] == writer)
      ++same;
    if (writer != kNever) { // that is reported as such
      int64_t begin = first + int64_t(i << shadow.shift),
              end = first + int64_t(same << shadow.shift);
      Source &source = sources[writer];
      if (source.bytes == 0)
        source = {0, space, begin, end};
      source.bytes += static_cast<uint64_t>(end - begin);
    }
    i = same;
  }
}

/// All reads of a command are noted. Numbers of events depend on the order of the streams;
/// runs of a command do not. It is the number of bytes that tells a tile whose padding alone
/// was written from a whole one.
void HazardChecker::settleSources(uint32_t event) {
  auto key = [&](uint32_t number) {
    return uint64_t(uint32_t(events[number].command)) << 32 | events[number].run;
  };
  for (const auto &[writer, source] : sources) {
    std::pair<uint64_t, uint64_t> flow(key(event), key(writer));
    if (!expected) {
      flows[flow] += source.bytes;
      continue;
    }
    uint64_t usual = expected->lookup(flow);
    if (source.bytes > usual)
      report(usual ? Conflict::MoreFlow : Conflict::Flow, source.space, source.begin, source.end,
             writer, event);
  }
  sources.clear();
}

void HazardChecker::finish() {
  // The host reads the outputs when every stream has ended: order is no question then.
  int stream = static_cast<int>(clocks.size());
  clocks.push_back(Clock(clocks.size(), UINT32_MAX));
  for (size_t t = 0; t < program.tensors.size(); ++t) {
    const ProgramTensor &tensor = program.tensors[t];
    if (tensor.kind != ProgramTensor::Kind::Output)
      continue;
    Footprint footprint;
    footprint.space = Space::Dram;
    footprint.base = tensor.address;
    footprint.elementBytes = elementBytes(tensor.type);
    footprint.extents.assign(tensor.shape.begin(), tensor.shape.end());
    footprint.strides.assign(tensor.strides.begin(), tensor.strides.end());
    events.push_back({stream, -1 - static_cast<int32_t>(t), 0, 0});
    auto event = static_cast<uint32_t>(events.size() - 1);
    visit(footprint, stream, event);
    if (watchesFlows)
      settleSources(event);
  }
}

std::string HazardChecker::describe(const Event &event) const {
  if (event.command < 0)
    return "output " + quoted(program.tensors[-1 - event.command].name);
  static const char *const engines[] = {"load", "store", "matrix", "vector", "control"};
  const Command &command = program.commands[event.command];
  int64_t number = 0, found = -1; // as disassemble() counts
  for (size_t s = 0; s < program.streams.size(); ++s)
    for (const Instruction &i : program.streams[s].code) {
      if (i.kind == Instruction::Kind::Run && static_cast<int>(s) == event.stream &&
          i.index == event.command && found < 0)
        found = number;
      number += i.kind == Instruction::Kind::Run || i.kind == Instruction::Kind::Wait;
    }
  const Stream &stream = program.streams[event.stream];
  std::string text = std::string(engines[static_cast<size_t>(stream.engine)]) + " " +
                     std::to_string(stream.channel) + " instruction " + std::to_string(found);
  if (command.layer >= 0)
    text += " (" + quoted(program.layers[command.layer].node) + ")";
  return text;
}

void HazardChecker::report(Conflict conflict, Space space, int64_t begin, int64_t end,
                           uint32_t earlier, uint32_t later) {
  if (found.size() >= kMaxReports ||
      !reported.insert({conflict, events[earlier].command, events[later].command}).second)
    return;
  std::string bytes = std::string(kSpaces[static_cast<size_t>(space)]) + " bytes " +
                      std::to_string(begin) + " to " + std::to_string(end - 1);
  std::string who = describe(events[later]);
  switch (conflict) {
  case Conflict::Undefined:
    found.push_back({"undefined bytes: " + who + " reads " + bytes + ", which nothing wrote"});
    return;
  case Conflict::Constant:
    found.push_back({"overwritten constant: " + who + " writes " + bytes});
    return;
  case Conflict::ReadAfterWrite:
    found.push_back({"unordered read after write: " + who + " reads " + bytes + ", which " +
                     describe(events[earlier]) + " writes; no wait orders them"});
    return;
  case Conflict::WriteAfterRead:
    found.push_back({"unordered write after read: " + who + " writes " + bytes + ", which " +
                     describe(events[earlier]) + " reads; no wait orders them"});
    return;
  case Conflict::WriteAfterWrite:
    found.push_back({"unordered write after write: " + who + " writes " + bytes + ", which " +
                     describe(events[earlier]) + " also writes; no wait orders them"});
    return;
  case Conflict::Flow:
  case Conflict::MoreFlow:
    std::string writer =
        earlier == kBeforeStart ? "before the start" : "by " + describe(events[earlier]);
    found.push_back(
        {"unexpected flow: " + who + " reads " +
         (conflict == Conflict::Flow ? bytes + " last written " + writer +
                                           ", which the whole program never does at that point"
                                     : "more bytes last written " + writer +
                                           " than the whole program does at that point")});
    return;
  }
}
