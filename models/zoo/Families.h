//===- Families.h - One builder for each family of networks -------*- C++ -*-===//
#pragma once

#include "models/machine/DataFile.h"
#include "models/zoo/NetworkBuilder.h"

namespace npucc::zoo {

/// Builds a network from the `config` of its entry in zoo.yaml.
using Family = void (*)(NetworkBuilder &, DataMap &config);

void buildResnet(NetworkBuilder &, DataMap &config);
void buildMobilenetV2(NetworkBuilder &, DataMap &config);
void buildBert(NetworkBuilder &, DataMap &config);
void buildVit(NetworkBuilder &, DataMap &config);
void buildLlama(NetworkBuilder &, DataMap &config); ///< with experts: Mixtral
void buildGpt(NetworkBuilder &, DataMap &config);   ///< GPT-2 and GPT-J
void buildSdUnet(NetworkBuilder &, DataMap &config);
void buildFlux(NetworkBuilder &, DataMap &config);

/// A required size from 1.
inline int64_t size(DataMap &config, llvm::StringRef key) {
  int64_t value = 1;
  config.integer(key, value, 1, int64_t(1) << 32);
  return value;
}
inline int64_t size(DataMap &config, llvm::StringRef key, int64_t fallback) {
  config.integer(key, fallback, 1, int64_t(1) << 32, DataMap::Optional);
  return fallback;
}
inline bool flag(DataMap &config, llvm::StringRef key) {
  bool value = false;
  config.boolean(key, value, DataMap::Optional);
  return value;
}
inline double epsilon(DataMap &config) {
  double value = 1e-5;
  config.number("epsilon", value, 1e-12, 1, DataMap::Required);
  return value;
}

} // namespace npucc::zoo
