//===- Serving.h - A decoder that serves many requests ------------*- C++ -*-===//
//
// Continuous batching: each iteration computes one token of every request in flight and, with
// what is left of a token budget, prompts of requests that have just been admitted. A request is
// admitted when memory has room for its whole key-value cache.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/baseline/Roofline.h"

namespace npucc {

/// What a decoder does, for each token and each position that a token looks back at.
struct Decoder {
  /// Kernels whose work goes with the number of tokens, equal ones once.
  struct Repeated {
    GpuKernel kernel;
    int64_t count = 1;
  };
  std::vector<Repeated> perToken;
  GpuKernel head; ///< the product with the vocabulary: only where a next token is wanted
  double attentionLayers = 0, attentionMacsPerPosition = 0;
  double kvElementsPerPosition = 0;
  double weightBytes = 0;
};

/// From two graphs with batch 1 and one new token that differ in the past length alone.
llvm::Expected<Decoder> makeDecoder(const Graph &graph, int64_t past, const Graph &longer,
                                    int64_t longerPast, llvm::StringRef precision);

struct ServingLoad {
  int64_t requests = 0, inputTokens = 0, outputTokens = 0;
};

struct ServingRun {
  double outputTokensPerSecond = 0;
  int64_t concurrent = 0;  ///< requests in flight at most
  int64_t tokenBudget = 0; ///< of an iteration
  double iterationS = 0;   ///< mean
  double clockRatio = 1, boardPowerW = 0;
};

/// All requests arrive at once. Needs room for one request.
llvm::Expected<ServingRun> serve(const Gpu &gpu, const Decoder &decoder, const ServingLoad &load,
                                 llvm::StringRef precision);

} // namespace npucc
