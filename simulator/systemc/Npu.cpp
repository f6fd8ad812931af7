//===- Npu.cpp - The SystemC model: engines, semaphores, time -----------------===//
//
// One SC_THREAD per command stream issues commands in order; an SC_METHOD beside it delivers
// their completions, so that a signal never holds back the next command. Times come from the
// cost functions; this file adds what only time can show: waiting for semaphores, engines
// that overlap, DRAM requests that meet in the channels, and shared scratchpad ports.
//
// Time unit: one tick of SystemC's resolution is one core cycle.
//
//===----------------------------------------------------------------------===//

#include "simulator/core/Accounting.h"
#include "simulator/core/DmaTraffic.h"
#include "simulator/core/PortContention.h"
#include "simulator/core/StreamWalker.h"

#include "llvm/ADT/StringExtras.h"

#include <systemc>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <random>

// libsystemc's own main() refers to it; ours never calls it.
extern "C" __attribute__((weak)) int sc_main(int, char **) { return 0; }

namespace npucc {

namespace {

using sc_core::sc_time;

int64_t now() { return static_cast<int64_t>(sc_core::sc_time_stamp().value()); }
sc_time ticks(int64_t cycles) { return sc_time::from_value(static_cast<sc_dt::uint64>(cycles)); }

struct Counter { ///< a semaphore
  int64_t count = 0;
  std::unique_ptr<sc_core::sc_event> changed;
};

/// What all engines share during one run.
struct Npu {
  Npu(const Program &program, const Machine &machine, const SimulationOptions &options)
      : program(program), machine(machine), options(options), dram(machine),
        ports(program.streams.size()), accounting(program, options), random(options.shuffleSeed) {
    if (options.residentWeights)
      for (const ProgramTensor &tensor : program.tensors)
        if (tensor.kind == ProgramTensor::Kind::Constant)
          resident.push_back({tensor.address, tensor.address + tensor.bytes});
  }

  /// The first failure counts; the engines see it and stop.
  void fail(llvm::Error reason) {
    if (failed) {
      llvm::consumeError(std::move(reason));
      return;
    }
    failed = true;
    error = llvm::toString(std::move(reason));
  }

  bool isResident(int64_t address) const {
    for (const auto &[begin, end] : resident)
      if (address >= begin && address < end)
        return true;
    return false;
  }

  const Program &program;
  const Machine &machine;
  const SimulationOptions &options;
  DramModel dram;
  PortContention ports;
  Accounting accounting;
  std::vector<Counter> semaphores;
  FunctionalMemory *memory = nullptr; ///< functional mode
  std::vector<std::pair<int64_t, int64_t>> resident;
  std::mt19937_64 random;
  int64_t totalRuns = 0, startedRuns = 0;
  bool failed = false;
  std::string error;
};

class StreamEngine : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(StreamEngine);

  StreamEngine(const sc_core::sc_module_name &name, Npu &npu, size_t index, int64_t firstNumber)
      : sc_module(name), npu(npu), stream(npu.program.streams[index]), index(index),
        walker(npu.program, index, firstNumber, npu.options.dropInstruction) {
    npu.totalRuns += walker.dynamicRuns();
    SC_THREAD(issue);
    SC_METHOD(deliver);
    sensitive << due;
    dont_initialize();
  }

  bool finished() const { return done; }
  int64_t lastCompletion() const { return completed; }
  /// For the message about a deadlock.
  std::string blockedOn() const;

private:
  /// A finished command's effect on data, or a signal, at its time.
  struct Completion {
    int64_t at;
    int32_t command, semaphore;         ///< one of them is -1
    std::unique_ptr<StreamState> state; ///< of the command
  };
  struct Outstanding {
    int64_t done, bytes;
  };

  void issue();
  void walk();
  void take(int32_t semaphore);
  void run(int32_t command);
  void compute(int32_t command, const CommandCost &cost);
  void copy(int32_t command, const DmaCost &cost, DmaTraffic traffic);
  int64_t moveBytes(const DmaCost &cost, DmaTraffic &traffic, size_t owner, int64_t &stretched);
  void waitForWindow(int64_t bytes);
  void finishAt(int32_t command, int64_t at);
  void post(Completion completion);
  void deliver();
  void until(int64_t cycle) {
    if (cycle > now())
      wait(ticks(cycle - now()));
  }
  void shuffle() {
    if (npu.options.shuffleSeed)
      for (uint64_t n = npu.random() % 4; n > 0; --n)
        wait(sc_core::SC_ZERO_TIME);
  }

  Npu &npu;
  const Stream &stream;
  size_t index;
  StreamWalker walker;
  bool done = false;
  int32_t waitsFor = -1;
  int64_t engineFree = 0; ///< the next command may issue
  int64_t completed = 0;  ///< every earlier command's results are visible
  std::deque<Completion> pending;
  bool shuffledThisCycle = false;
  sc_core::sc_event due;
  // Copies: the datapath's end of work, and what is on its way in DRAM.
  int64_t lastDescriptor = 0, datapathEnd = 0, outstandingBytes = 0;
  std::deque<Outstanding> outstanding;
  DmaRequest request;
  llvm::SmallVector<int64_t, 8> extents, rowExtents;
  DmaBox box;
};

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
}

void StreamEngine::run(int32_t id) {
  const Program &program = npu.program;
  const Command &command = program.commands[static_cast<size_t>(id)];
  const StreamState &state = walker.state();
  if (npu.options.progress && (++npu.startedRuns & 255) == 0)
    npu.options.progress(static_cast<double>(npu.startedRuns) /
                         static_cast<double>(std::max<int64_t>(npu.totalRuns, 1)));
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
  until(engineFree);
  const int64_t start = now();
  const auto cycles = static_cast<double>(cost.cycles);
  PortContention::Demand demand{cost.readPortCycles / cycles, cost.writePortCycles / cycles};
  double factor = npu.ports.stretch(index, demand, start);
  auto busy = std::max(cost.cycles, static_cast<int64_t>(std::ceil(cycles * factor - 1e-6)));
  engineFree = start + busy;
  npu.ports.claim(index, demand, engineFree);
  const int32_t layer = npu.program.commands[static_cast<size_t>(id)].layer;
  int64_t end = std::max(completed, engineFree + cost.latencyCycles - cost.cycles);
  npu.accounting.add(
      {index, stream.engine, id, layer, start, engineFree, end, cost.bound, busy - cost.cycles},
      cost.actions);
  finishAt(id, end);
}

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
  return end;
}

void StreamEngine::copy(int32_t id, const DmaCost &cost, DmaTraffic traffic) {
  // Descriptors are fetched one after the other, also while the stream waits.
  until(std::max(engineFree, lastDescriptor + npu.machine.dma.setupCycles));
  lastDescriptor = now();
  const int64_t start = now();
  const int32_t layer = npu.program.commands[static_cast<size_t>(id)].layer;
  Activity activity{index, stream.engine, id, layer, start, 0, 0, cost.command.bound, 0};
  Actions actions = cost.command.actions;
  int64_t end = start + 1;
  if (traffic.reads() && npu.isResident(traffic.firstRead())) {
    actions = Actions();
    actions[Action::ControlCommand] = 1;
    npu.accounting.result.residentBytes += cost.bytes;
  } else if (traffic.totalBytes() > 0) {
    end = moveBytes(cost, traffic, Accounting::dramOwner(layer), activity.stretched);
    npu.ports.claim(index, {}, 0);
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

void StreamEngine::finishAt(int32_t command, int64_t at) {
  completed = at;
  if (npu.memory)
    post({at, command, -1, std::make_unique<StreamState>(walker.state())});
}

void StreamEngine::post(Completion completion) {
  completion.at = std::max(completion.at, now());
  if (pending.empty())
    due.notify(ticks(completion.at - now()));
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
  while (!pending.empty() && pending.front().at <= now()) {
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
  if (!pending.empty())
    due.notify(ticks(pending.front().at - now()));
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

/// SystemC elaborates once per context: each run gets one of its own. (Unofficial, but works in
/// 2.3.4: the two pointers are what the library itself sets.)
class FreshContext {
public:
  FreshContext() {
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 0);
    savedCurrent = sc_core::sc_curr_simcontext;
    savedDefault = sc_core::sc_default_global_context;
    context = std::make_unique<sc_core::sc_simcontext>();
    sc_core::sc_curr_simcontext = sc_core::sc_default_global_context = context.get();
  }
  ~FreshContext() {
    context.reset();
    sc_core::sc_curr_simcontext = savedCurrent;
    sc_core::sc_default_global_context = savedDefault;
  }

private:
  sc_core::sc_simcontext *savedCurrent, *savedDefault;
  std::unique_ptr<sc_core::sc_simcontext> context;
};

llvm::Error runModel(Npu &npu) {
  FreshContext context;
  const Program &program = npu.program;
  for (const Semaphore &semaphore : program.semaphores)
    npu.semaphores.push_back({semaphore.initial, std::make_unique<sc_core::sc_event>()});
  std::vector<int64_t> numbers = firstNumbers(program);
  std::vector<std::unique_ptr<StreamEngine>> engines;
  for (size_t s = 0; s < program.streams.size(); ++s)
    engines.push_back(std::make_unique<StreamEngine>(("stream_" + std::to_string(s)).c_str(), npu,
                                                     s, numbers[s]));
  sc_core::sc_start();

  std::string blocked;
  int64_t last = npu.accounting.lastCycle();
  for (const auto &engine : engines) {
    last = std::max(last, engine->lastCompletion());
    if (!engine->finished())
      blocked += (blocked.empty() ? "" : "; ") + engine->blockedOn();
  }
  last = npu.dram.flush(last);
  npu.accounting.result.cycles = last;
  // Modules and events belong to the context.
  engines.clear();
  npu.semaphores.clear();
  if (npu.failed)
    return llvm::createStringError(npu.error);
  if (!blocked.empty())
    return llvm::createStringError("deadlock at cycle " + std::to_string(last) + ": " + blocked);
  return llvm::Error::success();
}

} // namespace

llvm::Expected<SimulationResult> simulate(const Program &program, const Machine &machine,
                                          const std::map<std::string, Tensor> &inputs,
                                          const SimulationOptions &options) {
  const std::clock_t begin = std::clock();
  if (llvm::Error error =
          validate(program, machine.scratchpad.bytes, machine.matrix.accumulatorBytes))
    return std::move(error);
  try {
    Npu npu(program, machine, options);
    std::vector<std::string> &assumptions = npu.accounting.result.assumptions;
    std::unique_ptr<FunctionalMemory> memory;
    if (options.functional) {
      memory = std::make_unique<FunctionalMemory>(program, machine.scratchpad.bytes,
                                                  machine.matrix.accumulatorBytes);
      if (llvm::Error error = memory->load(inputs))
        return std::move(error);
      npu.memory = memory.get();
    }
    if (llvm::Error error = runModel(npu))
      return std::move(error);
    npu.accounting.addDram(npu.dram);
    SimulationResult &result = npu.accounting.result;
    result.commands = npu.accounting.commands();
    if (memory) {
      llvm::Expected<std::map<std::string, Tensor>> outputs = memory->outputs();
      if (!outputs)
        return outputs.takeError();
      result.outputs = std::move(*outputs);
    }
    assumptions.push_back("scratchpad: engines share the ports fairly; banks never conflict");
    if (!program.gather.empty())
      assumptions.push_back("index-driven copies: rows lie scattered over the whole source");
    if (!program.host.empty())
      assumptions.push_back("operators on the control core have DRAM to themselves");
    if (options.residentWeights)
      assumptions.push_back("weights stay in scratchpad: " + std::to_string(result.residentBytes) +
                            " bytes of weight loads take no time or energy");
    result.cpuSeconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    return std::move(result);
  } catch (const std::exception &problem) {
    return llvm::createStringError(std::string("simulation failed: ") + problem.what());
  }
}

} // namespace npucc
