//===- Engine.cpp - Issue and completion of commands --------------------------===//
//
// Times come from the cost functions; this file adds what only time can show: waiting for
// semaphores, engines that overlap, and shared scratchpad ports.
//
//===----------------------------------------------------------------------===//

#include <systemc>

#include "simulator/systemc/Engine.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

namespace npucc::model {

void StreamEngine::issue() {
  // Nothing may leave a process but SystemC's own unwinding.
  try {
    walk();
    done = !npu.failed;
  } catch (const sc_core::sc_unwind_exception &) {
    throw;
  } catch (const std::exception &problem) {
    npu.fail(llvm::createStringError(std::string("simulation failed: ") + problem.what()));
  }
}

void StreamEngine::walk() {
  while (const Instruction *instruction = walker.next()) {
    if (npu.failed)
      return;
    switch (instruction->kind) {
    case Instruction::Kind::Wait:
      take(instruction->index);
      break;
    case Instruction::Kind::Signal:
      // The checker wants each stream's calls in the stream's order.
      if (npu.hazards)
        npu.hazards->signal(static_cast<int>(index), instruction->index);
      post({completed, -1, instruction->index, nullptr});
      break;
    case Instruction::Kind::Run:
      shuffle();
      run(instruction->index);
      break;
    default:
      break; // the walker deals with loops and rings
    }
  }
}

void StreamEngine::take(int32_t semaphore) {
  shuffle();
  waitsFor = semaphore;
  Counter &s = npu.semaphores[static_cast<size_t>(semaphore)];
  while (s.count == 0)
    wait(*s.changed);
  --s.count;
  waitsFor = -1;
  if (npu.hazards)
    npu.hazards->wait(static_cast<int>(index), semaphore);
}

void StreamEngine::run(int32_t id) {
  const Program &program = npu.program;
  const Command &command = program.commands[static_cast<size_t>(id)];
  const StreamState &state = walker.state();
  if (npu.options.progress && (++npu.startedRuns & 255) == 0)
    npu.options.progress(static_cast<double>(npu.startedRuns) /
                         static_cast<double>(std::max<int64_t>(npu.totalRuns, 1)));
  if (npu.hazards) {
    llvm::SmallVector<Footprint, 8> touched;
    npu.memory->footprints(command, state, touched);
    npu.hazards->run(static_cast<int>(index), id, touched);
  }
  switch (command.kind) {
  case CommandKind::Matrix: {
    const MatrixCommand &matrix = program.matrix[command.index];
    clippedExtents(matrix.dims, state, extents);
    compute(id, matrixCost(matrix, extents, holds(matrix.clearIf, state),
                           matrix.hasEpilogue && holds(matrix.epilogueIf, state), npu.machine));
    return;
  }
  case CommandKind::Vector: {
    const VectorCommand &vector = program.vector[command.index];
    clippedExtents(vector.dims, state, extents);
    compute(id, vectorCost(vector, extents, npu.machine));
    return;
  }
  case CommandKind::Dma: {
    const DmaCommand &dma = program.dma[command.index];
    clippedBox(dma.dims, state, box);
    copy(id, dmaCost(dma, box.count, npu.machine), DmaTraffic(program, dma, state, box));
    return;
  }
  case CommandKind::Gather: {
    const GatherCommand &gather = program.gather[command.index];
    clippedExtents(gather.indexDims, state, extents);
    clippedBox(gather.row, state, box);
    double elements = 1;
    for (int64_t extent : llvm::concat<int64_t>(extents, box.count))
      elements *= static_cast<double>(extent);
    if (elements > 1e14) {
      npu.fail(llvm::createStringError("command " + std::to_string(id) +
                                       ": an index-driven copy of more than 1e14 elements"));
      return;
    }
    copy(id, gatherCost(gather, extents, box.count, npu.machine),
         DmaTraffic(program, gather, state, extents, box));
    return;
  }
  case CommandKind::Host: {
    const HostCommand &host = program.host[command.index];
    auto tensors = [&](const std::vector<int32_t> &ids) {
      llvm::SmallVector<const ProgramTensor *, 8> result;
      for (int32_t tensor : ids)
        result.push_back(tensor < 0 ? nullptr : &program.tensors[static_cast<size_t>(tensor)]);
      return result;
    };
    compute(id, hostCost(program.hostNodes[static_cast<size_t>(host.node)], tensors(host.inputs),
                         tensors(host.outputs), npu.machine));
    return;
  }
  }
}

void StreamEngine::compute(int32_t id, const CommandCost &cost) {
  while (!copies.empty()) // of a stream that has both
    waitFor(outstanding.size() - 1);
  until(engineFree);
  const int64_t start = now();
  const auto cycles = static_cast<double>(cost.cycles);
  PortContention::Demand demand{cost.readPortCycles / cycles, cost.writePortCycles / cycles};
  double factor = npu.ports.stretch(index, demand, start);
  auto busy = std::max(cost.cycles, static_cast<int64_t>(std::ceil(cycles * factor - 1e-6)));
  workEnd = std::max(start + cost.leadCycles, workEnd) + cost.workCycles + busy - cost.cycles;
  engineFree = workEnd - cost.overlapCycles;
  npu.ports.claim(index, demand, workEnd);
  claimingCopy = -1;
  const int32_t layer = npu.program.commands[static_cast<size_t>(id)].layer;
  int64_t end =
      std::max(completed, workEnd + cost.latencyCycles - cost.leadCycles - cost.workCycles);
  // In a series the lead hides behind the command before, so busy time is what a command adds.
  npu.accounting.add({index, stream.engine, id, layer, start, std::max(start, workEnd - busy),
                      workEnd, end, cost.bound, busy - cost.cycles},
                     cost.actions);
  finishAt(id, end);
}

void StreamEngine::finishAt(int32_t command, int64_t at) {
  completed = at;
  if (npu.memory)
    post({at, command, -1, std::make_unique<StreamState>(walker.state())});
}

void StreamEngine::post(Completion completion) {
  completion.at = std::max(completion.at, now());
  completion.copies = endedCopies + static_cast<int64_t>(copies.size());
  if (pending.empty() && copies.empty())
    due.notify(delay(completion.at, 0));
  pending.push_back(std::move(completion));
}

void StreamEngine::deliver() {
  if (npu.failed)
    return;
  if (npu.options.shuffleSeed && !shuffledThisCycle && npu.random() % 2) {
    shuffledThisCycle = true;
    due.notify(sc_core::SC_ZERO_TIME);
    return;
  }
  shuffledThisCycle = false;
  auto ready = [&] { return !pending.empty() && pending.front().copies <= endedCopies; };
  while (ready() && pending.front().at <= now()) {
    Completion completion = std::move(pending.front());
    pending.pop_front();
    if (completion.semaphore >= 0) {
      Counter &s = npu.semaphores[static_cast<size_t>(completion.semaphore)];
      ++s.count;
      s.changed->notify(sc_core::SC_ZERO_TIME);
    } else if (npu.memory) {
      const Command &command = npu.program.commands[static_cast<size_t>(completion.command)];
      if (llvm::Error error = npu.memory->execute(command, *completion.state)) {
        npu.fail(std::move(error));
        return;
      }
    }
  }
  if (ready())
    due.notify(delay(pending.front().at, 0));
}

const char *engineName(EngineKind kind) {
  switch (kind) {
  case EngineKind::Load:
    return "load";
  case EngineKind::Store:
    return "store";
  case EngineKind::Matrix:
    return "matrix";
  case EngineKind::Vector:
    return "vector";
  case EngineKind::Control:
    return "control";
  }
  return "unknown";
}

std::string StreamEngine::blockedOn() const {
  std::string text = "stream " + std::to_string(index) + " (" + engineName(stream.engine) + " " +
                     std::to_string(stream.channel) + ") waits for semaphore " +
                     std::to_string(waitsFor) + " at instruction " +
                     std::to_string(walker.position());
  // Name the node whose command would have come next.
  for (size_t i = walker.position(); i < stream.code.size(); ++i) {
    if (stream.code[i].kind != Instruction::Kind::Run)
      continue;
    int32_t layer = npu.program.commands[static_cast<size_t>(stream.code[i].index)].layer;
    if (layer >= 0 && static_cast<size_t>(layer) < npu.program.layers.size())
      text += ", before node '" + npu.program.layers[static_cast<size_t>(layer)].node + "'";
    break;
  }
  return text;
}

} // namespace npucc::model
