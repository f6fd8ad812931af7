//===- Kinds.cpp - The table of kinds -------------------------------------===//

#include "simulator/validate/Kinds.h"

#include "simulator/validate/Evaluators.h"

#include "models/zoo/Zoo.h"
#include "runtime/onnx/Loader.h"

using namespace llvm;

namespace npucc {

ArrayRef<Kind> kinds() {
  static const Kind kKinds[] = {
      {"gpu-kernel", "time of one operator on a GPU, as a framework starts it", gpuKernel},
      {"gpu-kernel-power", "board power while one operator runs again and again", gpuKernelPower},
      {"gpu-network", "throughput or latency of a network, as MLPerf Inference runs it",
       gpuNetwork},
      {"gpu-llm", "output tokens a second of a decoder that serves requests", gpuLlm},
      {"gpu-power", "power of a board at measured rates", gpuPower},
      {"system-power", "power at the wall of a system that runs a network", systemPower},
      {"energy-library", "a component of the library of energies, estimated without its own row",
       energyLibraryRow, energyLibrarySet},
      {"dram-stream", "bandwidth of one copy through the DRAM model, or the time of one run of it",
       dramStream},
      {"dram-energy", "energy of a bit from DRAM, with its share of opened rows", dramEnergy},
      {"matrix-commands", "end of the last of some commands on a matrix engine", matrixCommands},
      {"convolution-busy", "cycles in which a matrix engine multiplies for a convolution",
       convolutionBusy},
      {"machine", "a figure of a machine file: energy of an action, or area of its parts",
       machineFigure},
  };
  return kKinds;
}

Expected<const Graph *> Networks::get(const std::string &name,
                                      const std::map<std::string, int64_t> &dims) {
  std::string key = name;
  for (const auto &[dim, size] : dims)
    key += ";" + dim + "=" + std::to_string(size);
  std::unique_ptr<Model> &model = loaded[key];
  if (!model) {
    Bindings bindings;
    bindings.dims = dims;
    auto read = std::make_unique<Model>();
    if (StringRef zoo = zooName(name); !zoo.empty()) {
      Expected<ZooNetwork> network = buildZoo(zoo);
      if (!network)
        return network.takeError();
      bindings.defaults = network->defaultDims;
      *read = std::move(network->model);
    } else {
      Expected<Model> file = loadModel(name);
      if (!file)
        return file.takeError();
      *read = std::move(*file);
    }
    if (Error error = prepare(*read, bindings))
      return std::move(error);
    model = std::move(read);
  }
  return &model->graph;
}

} // namespace npucc
