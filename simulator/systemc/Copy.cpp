//===- Copy.cpp - DMA engines and DRAM ----------------------------------------===//
//
// A copy makes its DRAM requests as early as its window of outstanding bytes allows; the
// datapath takes the data in order at its own rate. The next command's requests follow while
// the last data is still on its way.
//
//===----------------------------------------------------------------------===//

#include <systemc>

#include "simulator/systemc/Engine.h"

#include <cmath>

namespace npucc::model {

void StreamEngine::waitForWindow(int64_t bytes) {
  // Bandwidth times delay: what a copy may have under way before it has to wait for data.
  const int64_t window =
      std::max<int64_t>(4 * RunCursor::kRequestBytes, 256 * npu.machine.dma.bytesPerCycle);
  constexpr size_t kRequests = 64;
  while (!outstanding.empty() &&
         (outstanding.front().done <= now() || outstandingBytes + bytes > window ||
          outstanding.size() >= kRequests)) {
    until(outstanding.front().done);
    outstandingBytes -= outstanding.front().bytes;
    outstanding.pop_front();
  }
}

int64_t StreamEngine::moveBytes(const DmaCost &cost, DmaTraffic &traffic, size_t owner,
                                int64_t &stretched) {
  const int64_t total = std::max<int64_t>(1, traffic.totalBytes());
  const double span =
      std::max<double>(1, std::max(static_cast<double>(cost.command.cycles),
                                   dramCycles(cost.runs, cost.runBytes, npu.machine)));
  PortContention::Demand demand{cost.command.readPortCycles / span,
                                cost.command.writePortCycles / span};
  npu.ports.claim(index, demand, INT64_MAX);
  datapathEnd = std::max(datapathEnd, now());
  int64_t end = datapathEnd, moved = 0, beatsDone = 0;
  auto serve = [&](int64_t bytes) {
    moved += bytes;
    auto beats = static_cast<int64_t>(std::ceil(
        static_cast<double>(cost.beats) * static_cast<double>(moved) / static_cast<double>(total)));
    int64_t service = beats - beatsDone;
    beatsDone = beats;
    double factor = npu.ports.stretch(index, demand, now());
    auto slow = static_cast<int64_t>(std::ceil(static_cast<double>(service) * factor - 1e-6));
    stretched += slow - service;
    return std::max(service, slow);
  };
  if (!traffic.reads() && !traffic.writes()) {
    datapathEnd += serve(total);
    until(datapathEnd);
    npu.ports.claim(index, demand, datapathEnd);
    return datapathEnd;
  }
  while (traffic.next(request)) {
    waitForWindow(request.bytes);
    int64_t done = now();
    if (!request.reads.empty()) {
      for (const RunCursor::Run &run : request.reads)
        done = std::max(done, npu.dram.access(run.address, run.bytes, false, now(), owner));
      // The datapath passes data on while more arrives.
      datapathEnd = done = std::max(done, datapathEnd + serve(request.bytes));
    }
    if (!request.writes.empty()) {
      if (request.reads.empty())
        datapathEnd = std::max(datapathEnd, now()) + serve(request.bytes);
      until(datapathEnd); // the bytes have left the scratchpad
      done = datapathEnd;
      for (const RunCursor::Run &run : request.writes)
        done = std::max(done, npu.dram.access(run.address, run.bytes, true, now(), owner));
    }
    end = std::max(end, done);
    outstanding.push_back({done, request.bytes});
    outstandingBytes += request.bytes;
  }
  npu.ports.claim(index, demand, end);
  return end;
}

void StreamEngine::copy(int32_t id, const DmaCost &cost, DmaTraffic traffic) {
  // Descriptors are fetched one after the other, also while the stream waits.
  until(std::max(engineFree, lastDescriptor + npu.machine.dma.setupCycles));
  lastDescriptor = now();
  const int64_t start = now();
  const int32_t layer = npu.program.commands[static_cast<size_t>(id)].layer;
  Activity activity{index, stream.engine, id, layer, start, start, 0, 0, cost.command.bound, 0};
  Actions actions = cost.command.actions;
  int64_t end = start + 1;
  if (traffic.reads() && npu.isResident(traffic.firstRead())) { // it is there already
    actions = Actions();
    actions[Action::ControlCommand] = 1;
  } else if (traffic.totalBytes() > 0) {
    end = moveBytes(cost, traffic, Accounting::dramOwner(layer), activity.stretched);
    if (cost.dram && static_cast<double>(end - start) >
                         1.1 * static_cast<double>(cost.beats + activity.stretched))
      activity.bound = Bound::Dram;
  }
  engineFree = now(); // requests of the next command follow at once
  activity.busyEnd = end;
  activity.end = std::max(completed, end);
  npu.accounting.add(activity, actions);
  finishAt(id, activity.end);
}

} // namespace npucc::model
