//===- Zoo.h - Networks built from their hyper-parameters ---------*- C++ -*-===//
//
// models/networks/zoo.yaml says what each network is; a builder for its family makes the
// graph. Weights are seeded RandomNormal nodes: they count as parameters, have sane values
// when a run needs data, and cost no memory until then (docs/zoo.md).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/Support/Error.h"

#include <map>
#include <string>
#include <vector>

namespace npucc {

/// What a network must add up to at given sizes.
struct ZooTotal {
  std::map<std::string, int64_t> dims;
  int64_t macs = 0;
};

struct ZooNetwork {
  std::string name, title, source;
  std::map<std::string, int64_t>
      defaultDims;        ///< sizes of the symbolic dimensions: Bindings::defaults
  int64_t parameters = 0; ///< the published count
  std::vector<ZooTotal> totals;
  Model model; ///< not prepared: dimensions are symbols
};

/// Builds the network of this name ("resnet50"). Then: prepare(network.model, bindings) with
/// bindings.defaults = network.defaultDims.
llvm::Expected<ZooNetwork> buildZoo(llvm::StringRef name);

/// "resnet50" of "zoo:resnet50"; empty for other paths.
llvm::StringRef zooName(llvm::StringRef path);

/// All names, in the order of the file.
llvm::Expected<std::vector<std::string>> listZoo();

} // namespace npucc
