//===- Simulate.cpp - One run of the SystemC model ----------------------------===//

#include <systemc>

#include "simulator/systemc/Memory.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"

#include <cmath>
#include <cstdlib>
#include <ctime>

// libsystemc's own main() refers to it; ours never calls it.
extern "C" __attribute__((weak)) int sc_main(int, char **) { return 0; }

namespace npucc {

using namespace model;

llvm::Error Npu::placeWeights() {
  SimulationResult &result = accounting.result;
  for (const ProgramTensor &tensor : program.tensors) {
    if (tensor.kind != ProgramTensor::Kind::Constant)
      continue;
    resident.push_back({tensor.address, tensor.address + tensor.bytes});
    result.residentBytes += tensor.bytes;
  }
  llvm::sort(resident);
  if (result.residentBytes > machine.scratchpad.bytes)
    return llvm::createStringError("resident weights: " + std::to_string(result.residentBytes) +
                                   " bytes of constants do not fit the scratchpad of " +
                                   std::to_string(machine.scratchpad.bytes) +
                                   " bytes; use cold weights or a larger machine");
  result.residentLoadCycles =
      static_cast<int64_t>(std::ceil(dramCycles(1, result.residentBytes, machine)));
  return llvm::Error::success();
}

namespace {

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
  // Modules and events belong to the context, whichever way this function ends.
  std::vector<std::unique_ptr<StreamEngine>> engines;
  std::unique_ptr<Memory> memory;
  llvm::scope_exit cleanup([&] {
    memory.reset();
    engines.clear();
    npu.memoryWork.reset();
    npu.semaphores.clear();
  });
  const Program &program = npu.program;
  for (const Semaphore &semaphore : program.semaphores)
    npu.semaphores.push_back({semaphore.initial, std::make_unique<sc_core::sc_event>()});
  npu.memoryWork = std::make_unique<sc_core::sc_event>();
  std::vector<int64_t> numbers = firstNumbers(program);
  for (size_t s = 0; s < program.streams.size(); ++s)
    engines.push_back(std::make_unique<StreamEngine>(("stream_" + std::to_string(s)).c_str(), npu,
                                                     s, numbers[s]));
  memory = std::make_unique<Memory>("memory", npu, engines);
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
  if (npu.failed)
    return llvm::createStringError(npu.code, npu.error);
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
    std::unique_ptr<HazardChecker> hazards;
    if (options.functional && options.checkHazards) {
      hazards = std::make_unique<HazardChecker>(program, machine.scratchpad.bytes,
                                                machine.matrix.accumulatorBytes);
      if (options.recordFlows)
        hazards->recordFlows();
      hazards->expectFlows(options.expectedFlows);
      npu.hazards = hazards.get();
    }
    if (options.residentWeights)
      if (llvm::Error error = npu.placeWeights())
        return std::move(error);
    if (llvm::Error error = runModel(npu))
      return std::move(error);
    npu.accounting.addDram(npu.dram);
    SimulationResult &result = npu.accounting.result;
    result.commands = npu.accounting.commands();
    if (hazards) {
      hazards->finish();
      result.hazards = hazards->hazards();
      if (options.recordFlows)
        result.flows = std::make_shared<const FlowSet>(hazards->takeFlows());
    }
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
                            " bytes are loaded before the clock starts");
    result.cpuSeconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    return std::move(result);
  } catch (const std::exception &problem) {
    return llvm::createStringError(std::string("simulation failed: ") + problem.what());
  }
}

} // namespace npucc
