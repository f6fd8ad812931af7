//===- Memory.h - DRAM of the SystemC model -----------------------*- C++ -*-===//
//
// Private to this folder; include <systemc> before it. Streams that wait for DRAM leave SystemC
// nothing to do until some other event. The DRAM model runs ahead to that one, or to the end of the
// first request that a stream waits for.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/systemc/Engine.h"

namespace npucc::model {

class Memory : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(Memory);

  Memory(const sc_core::sc_module_name &name, Npu &npu,
         const std::vector<std::unique_ptr<StreamEngine>> &engines)
      : sc_module(name), npu(npu), engines(engines) {
    SC_METHOD(serve);
    sensitive << *npu.memoryWork;
    dont_initialize();
  }

private:
  void serve();

  Npu &npu;
  const std::vector<std::unique_ptr<StreamEngine>> &engines;
  std::vector<size_t> awaited;
};

} // namespace npucc::model
