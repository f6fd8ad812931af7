//===- Copy.cpp - DMA engines and DRAM ----------------------------------------===//
//
// A copy makes its DRAM requests as early as its window of outstanding bytes allows; the
// datapath takes the data in order at its own rate. The next command's requests follow while
// the last data is still on its way, so that a copy ends after the stream has gone on: a request
// "settles" when the DRAM model knows its end.
//
//===----------------------------------------------------------------------===//

#include <systemc>

#include "simulator/systemc/Engine.h"

#include <cmath>

namespace npucc::model {

void StreamEngine::waitFor(size_t position) {
  if (outstanding[position].done < 0) {
    awaited = position;
    wait(arrived);
  }
  until(outstanding[position].done);
}

void StreamEngine::waitForWindow(int64_t bytes) {
  // Bandwidth times delay: what a copy may have under way before it has to wait for data.
  const int64_t window =
      std::max<int64_t>(4 * RunCursor::kRequestBytes, 256 * npu.machine.dma.bytesPerCycle);
  constexpr size_t kRequests = 64;
  while (!outstanding.empty()) {
    const int64_t done = outstanding.front().done;
    if ((done < 0 || done > now()) && outstandingBytes + bytes <= window &&
        outstanding.size() < kRequests)
      return;
    waitFor(0);
    outstandingBytes -= outstanding.front().bytes;
    outstanding.pop_front();
    --settled;
  }
}

/// Until all reads are over, which are in `datapathEnd` then.
void StreamEngine::waitForReads() {
  for (size_t i = outstanding.size(); i > 0; --i)
    if (outstanding[i - 1].read)
      return waitFor(i - 1);
}

void StreamEngine::awaits(std::vector<size_t> &requests) const {
  bool seen[2] = {false, false}; // reads settle in their order
  for (size_t i = settled; i < outstanding.size() && !(seen[0] && seen[1]); ++i)
    if (const Outstanding &o = outstanding[i]; o.done < 0 && !seen[o.read]) {
      requests.push_back(o.request);
      seen[o.read] = true;
    }
}

bool StreamEngine::settle() {
  bool any = false, readWaits = false;
  for (size_t i = settled; i < outstanding.size(); ++i) {
    Outstanding &o = outstanding[i];
    if (o.done >= 0 || (o.read && readWaits))
      continue;
    const std::optional<int64_t> end = npu.dram.done(o.request);
    if (!end) {
      readWaits |= o.read;
      continue;
    }
    npu.dram.close(o.request);
    o.done = std::max(o.from, *end);
    if (o.read) // the datapath passes data on while more arrives
      datapathEnd = o.done = std::max(*end, std::max(datapathEnd, o.from) + o.service);
    OpenCopy &copy = copies[static_cast<size_t>(o.copy - endedCopies)];
    copy.activity.end = std::max(copy.activity.end, o.done);
    --copy.unsettled;
    any = true;
  }
  if (!any)
    return false;
  while (settled < outstanding.size() && outstanding[settled].done >= 0)
    ++settled;
  if (awaited != kNobody && outstanding[awaited].done >= 0) {
    arrived.notify(delay(outstanding[awaited].done, static_cast<int64_t>(index) + 1));
    awaited = kNobody;
  }
  finishCopies();
  return true;
}

void StreamEngine::moveBytes(const DmaCost &cost, DmaTraffic &traffic, size_t owner,
                             OpenCopy &copy) {
  const int64_t total = std::max<int64_t>(1, traffic.totalBytes());
  const int64_t number = endedCopies + static_cast<int64_t>(copies.size()) - 1;
  const double span =
      std::max<double>(1, std::max(static_cast<double>(cost.command.cycles),
                                   dramCycles(cost.runs, cost.runBytes, npu.machine)));
  copy.demand = {cost.command.readPortCycles / span, cost.command.writePortCycles / span};
  npu.ports.claim(index, copy.demand, INT64_MAX);
  claimingCopy = number;
  const int64_t start = now();
  int64_t moved = 0, beatsDone = 0;
  auto serve = [&](int64_t bytes) {
    moved += bytes;
    auto beats = static_cast<int64_t>(std::ceil(
        static_cast<double>(cost.beats) * static_cast<double>(moved) / static_cast<double>(total)));
    int64_t service = beats - beatsDone;
    beatsDone = beats;
    double factor = npu.ports.stretch(index, copy.demand, now());
    auto slow = static_cast<int64_t>(std::ceil(static_cast<double>(service) * factor - 1e-6));
    copy.activity.stretched += slow - service;
    return std::max(service, slow);
  };
  if (!traffic.reads() && !traffic.writes()) {
    waitForReads();
    datapathEnd = std::max(datapathEnd, start) + serve(total);
    until(datapathEnd);
    copy.activity.end = datapathEnd;
    return;
  }
  while (traffic.next(request)) {
    waitForWindow(request.bytes);
    auto ask = [&](const auto &runs, bool write) {
      Outstanding o{npu.dram.open(owner), request.bytes, number, !write, start, 0};
      for (const RunCursor::Run &run : runs)
        npu.dram.access(o.request, run.address, run.bytes, write, now());
      ++copy.unsettled;
      npu.memoryWork->notify(delay(now(), npu.memorySlot()));
      return o;
    };
    if (!request.reads.empty()) {
      outstanding.push_back(ask(request.reads, false));
      outstanding.back().service = serve(request.bytes);
      outstandingBytes += request.bytes;
      if (!request.writes.empty())
        waitFor(outstanding.size() - 1);
    }
    if (!request.writes.empty()) {
      if (request.reads.empty()) {
        waitForReads();
        datapathEnd = std::max(datapathEnd, now()) + serve(request.bytes);
        until(datapathEnd); // the bytes have left the scratchpad
        outstandingBytes += request.bytes;
      } else {
        outstanding.pop_back();
        settled = std::min(settled, outstanding.size());
      }
      outstanding.push_back(ask(request.writes, true));
      outstanding.back().from = datapathEnd;
      settle(); // most are taken at once
    }
  }
}

void StreamEngine::copy(int32_t id, const DmaCost &cost, DmaTraffic traffic) {
  // Descriptors are fetched one after the other, also while the stream waits.
  until(std::max(engineFree, lastDescriptor + npu.machine.dma.setupCycles));
  lastDescriptor = now();
  const int64_t start = now();
  const int32_t layer = npu.program.commands[static_cast<size_t>(id)].layer;
  copies.emplace_back();
  OpenCopy &copy = copies.back();
  copy.activity = {index,     stream.engine,      id, layer, start, start, 0,
                   start + 1, cost.command.bound, 0};
  copy.actions = cost.command.actions;
  if (traffic.reads() && npu.isResident(traffic.firstRead())) { // it is there already
    copy.actions = Actions();
    copy.actions[Action::ControlCommand] = 1;
  } else if (traffic.totalBytes() > 0) {
    copy.activity.end = start;
    if (cost.dram)
      copy.dramBeats = cost.beats;
    moveBytes(cost, traffic, Accounting::dramOwner(layer), copy);
  }
  engineFree = now(); // requests of the next command follow at once
  copy.issued = true;
  if (npu.memory)
    post({0, id, -1, std::make_unique<StreamState>(walker.state())});
  finishCopies();
}

/// Copies end in their order.
void StreamEngine::finishCopies() {
  while (!copies.empty() && copies.front().issued && copies.front().unsettled == 0) {
    OpenCopy &copy = copies.front();
    Activity &activity = copy.activity;
    const int64_t end = activity.end;
    if (copy.dramBeats<INT64_MAX &&static_cast<double>(end - activity.start)> 1.1 *
        static_cast<double>(copy.dramBeats + activity.stretched))
      activity.bound = Bound::Dram;
    if (claimingCopy == endedCopies)
      npu.ports.claim(index, copy.demand, end);
    activity.busyEnd = end;
    activity.end = completed = std::max(completed, end);
    npu.accounting.add(activity, copy.actions);
    copies.pop_front();
    ++endedCopies;
    for (Completion &completion : pending)
      if (completion.copies == endedCopies)
        completion.at = std::max(completion.at, completed);
    if (!pending.empty() && pending.front().copies <= endedCopies)
      due.notify(delay(pending.front().at, 0));
  }
}

} // namespace npucc::model
