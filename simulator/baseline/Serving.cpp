//===- Serving.cpp - Continuous batching ----------------------------------===//

#include "simulator/baseline/Serving.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

using namespace llvm;

namespace npucc {

namespace {

/// Part of memory that weights leave which the cache may have, and what runtime, activations and
/// captured graphs take before (TensorRT-LLM: kv_cache_free_gpu_mem_fraction 0.95).
constexpr double kCacheShare = 0.95, kRuntimeBytes = 4e9;
/// A cache is kept in blocks of this many positions.
constexpr double kCacheBlock = 32;
/// Limits that trtllm-bench chooses (tensorrt_llm/bench/build/tuning.py): requests in flight, and
/// tokens of an iteration, which go with the ratio of the lengths.
constexpr double kMostRequests = 4096, kMostTokens = 32768, kFewestTokens = 8192;
/// Of the tensor cores' fp16 peak, what fused attention reaches on prompts (Shah et al.,
/// FlashAttention-3, 2024: 500 to 650 TFLOPS of an H100, causal, head size 128).
constexpr double kAttentionSustained = 0.6;
/// The host prepares an iteration while the last one runs: scheduling, and for each request its
/// token handed back. Fitted to TensorRT-LLM on an H100 (calibration: 128 tokens in and out, which
/// the H200 does no faster).
constexpr double kHostPerIterationS = 1e-3, kHostPerRequestS = 3.5e-5;

bool isAttention(const GpuKernel &kernel) {
  return any_of(kernel.contractions, [](const Contraction &c) { return c.batchInGroups; });
}

bool sameWork(const GpuKernel &a, const GpuKernel &b) {
  auto shape = [](const GpuKernel &kernel) {
    std::vector<double> sizes = {kernel.vectorOps, kernel.activationBytes, kernel.weightBytes};
    for (const Contraction &c : kernel.contractions)
      sizes.insert(sizes.end(), {c.groups, c.m, c.n, c.k, c.steps, double(c.onVector)});
    for (const RowReduction &r : kernel.reductions)
      sizes.insert(sizes.end(), {r.rows, r.length});
    return sizes;
  };
  return shape(a) == shape(b);
}

double inputElements(const Graph &graph) {
  double elements = 0;
  for (ValueId id : graph.inputs) {
    const Value &value = graph.values[static_cast<size_t>(id)];
    if (!value.dims)
      continue;
    double count = 1;
    for (const Dim &dim : *value.dims)
      count *= double(std::max<int64_t>(dim.size, 0));
    elements += isFloat(value.type) && value.dims->size() > 2 ? count : 0;
  }
  return elements;
}

/// Requests that were admitted together, and tokens that each has made.
struct Cohort {
  int64_t count = 0, made = 0;
};

class Server {
public:
  Server(const Gpu &gpu, const Decoder &decoder, const ServingLoad &load, StringRef precision,
         double clockRatio)
      : gpu(gpu), decoder(decoder), load(load), precision(precision), clockRatio(clockRatio),
        kvBytes(decoder.kvElementsPerPosition * bytesOf(precision)) {}

  Expected<ServingRun> run() {
    double room = (gpu.memoryBytes - decoder.weightBytes - kRuntimeBytes) * kCacheShare;
    double positions = double(load.inputTokens + load.outputTokens);
    double each = std::ceil(positions / kCacheBlock) * kCacheBlock * kvBytes;
    ServingRun result;
    result.concurrent = int64_t(std::min({room / each, kMostRequests, double(load.requests)}));
    if (result.concurrent < 1)
      return createStringError("the " + gpu.title + " has no room for one request");
    double tokens =
        double(result.concurrent) * (1 + double(load.inputTokens) / double(load.outputTokens));
    result.tokenBudget = int64_t(std::clamp(tokens, kFewestTokens, kMostTokens));

    int64_t waiting = load.requests, inFlight = 0, iterations = 0;
    int64_t prompt = 0; // tokens of the first waiting request that are done
    while (!cohorts.empty() || waiting > 0) {
      double attended = 0, prefillMacs = 0;
      int64_t decoding = 0;
      for (const Cohort &cohort : cohorts) {
        decoding += cohort.count;
        attended += double(cohort.count) * double(load.inputTokens + cohort.made);
      }
      int64_t budget = result.tokenBudget - decoding, prefill = 0, admitted = 0;
      while (waiting > 0 && inFlight + admitted < result.concurrent && budget > 0) {
        int64_t part = std::min(budget, load.inputTokens - prompt);
        // Each token looks at those before it.
        prefillMacs +=
            double(part) * (double(prompt) + double(part) / 2) * decoder.attentionMacsPerPosition;
        prefill += part;
        budget -= part;
        prompt += part;
        if (prompt < load.inputTokens)
          break;
        prompt = 0;
        ++admitted;
        --waiting;
      }
      iteration(decoding, prefill, admitted, attended, prefillMacs);
      ++iterations;
      for (Cohort &cohort : cohorts)
        ++cohort.made;
      if (!cohorts.empty() && cohorts.front().made >= load.outputTokens) {
        inFlight -= cohorts.front().count;
        cohorts.pop_front();
      }
      if (admitted > 0) {
        cohorts.push_back({admitted, 1});
        inFlight += admitted;
      }
    }
    result.outputTokensPerSecond = double(load.requests) * double(load.outputTokens) / work.seconds;
    result.iterationS = work.seconds / double(iterations);
    result.clockRatio = clockRatio;
    result.boardPowerW = boardEnergyJ(gpu, work, precision, clockRatio) / work.seconds;
    return result;
  }

private:
  const Gpu &gpu;
  const Decoder &decoder;
  const ServingLoad &load;
  StringRef precision;
  double clockRatio, kvBytes;
  std::deque<Cohort> cohorts;
  KernelCost work; ///< of all iterations
  std::map<int64_t, KernelCost> linearCost, headCost;

  void iteration(int64_t decoding, int64_t prefill, int64_t finished, double attended,
                 double prefillMacs) {
    int64_t next = decoding + finished;
    KernelCost cost = linear(decoding + prefill);
    cost += head(next);
    // Attention: caches stream, prompts compute.
    const Gpu::Rate &fp16 = gpu.rates.find("fp16")->second;
    KernelCost attention;
    attention.dramBytes = attention.l2Bytes = attended * kvBytes;
    attention.tensorOps = 2 * prefillMacs;
    attention.seconds =
        attention.dramBytes / (gpu.dramBytesPerSecond * gpu.dramSustained) +
        attention.tensorOps / (fp16.opsPerSecond * kAttentionSustained * clockRatio) +
        decoder.attentionLayers * (gpu.kernelOverheadS + 2 * gpu.dramLatencyS);
    cost += attention;
    cost.seconds = std::max(cost.seconds, kHostPerIterationS + double(next) * kHostPerRequestS);
    work += cost;
  }

  /// Engines are built for some sizes and pad to them: steps of an eighth of a power of two.
  static int64_t padded(int64_t tokens) {
    int64_t step = 8;
    while (step * 16 < tokens)
      step *= 2;
    return (tokens + step - 1) / step * step;
  }

  KernelCost linear(int64_t tokens) {
    if (tokens == 0)
      return {};
    tokens = padded(tokens);
    auto [it, inserted] = linearCost.try_emplace(tokens);
    if (inserted)
      for (const Decoder::Repeated &entry : decoder.perToken) {
        KernelCost one = costOf(entry.kernel, tokens);
        for (int64_t i = 0; i < entry.count; ++i)
          it->second += one;
      }
    return it->second;
  }

  KernelCost head(int64_t tokens) {
    if (tokens == 0)
      return {};
    tokens = padded(tokens);
    auto [it, inserted] = headCost.try_emplace(tokens);
    if (inserted)
      it->second = costOf(decoder.head, tokens);
    return it->second;
  }

  KernelCost costOf(const GpuKernel &kernel, int64_t tokens) const {
    return kernelCost(gpu, kernel, double(tokens), precision, clockRatio, Launch::Engine);
  }
};

} // namespace

Expected<Decoder> makeDecoder(const Graph &graph, int64_t past, const Graph &longer,
                              int64_t longerPast, StringRef precision) {
  // Weights and caches have the precision; values between kernels stay bf16.
  constexpr double kActivationBytes = 2;
  double step = double(longerPast - past), weights = bytesOf(precision) / kActivationBytes;
  GpuWorkload workload = makeWorkload(graph, kActivationBytes);
  GpuWorkload further = makeWorkload(longer, kActivationBytes);
  Decoder decoder;
  auto attentionMacs = [](const GpuWorkload &work) {
    double macs = 0;
    for (const GpuKernel &kernel : work.kernels)
      for (const Contraction &c : kernel.contractions)
        macs += c.batchInGroups ? c.macs() : 0;
    return macs;
  };
  decoder.attentionMacsPerPosition = (attentionMacs(further) - attentionMacs(workload)) / step;
  decoder.kvElementsPerPosition = (inputElements(longer) - inputElements(graph)) / step;
  if (decoder.attentionMacsPerPosition <= 0 || decoder.kvElementsPerPosition <= 0)
    return createStringError("the network is no decoder: nothing grows with its past");
  // What grows with the past is attention's, whose caches are counted apart.
  if (workload.kernels.size() != further.kernels.size())
    return createStringError("the network's kernels depend on the past length");
  for (size_t i = 0; i < workload.kernels.size(); ++i) {
    GpuKernel &kernel = workload.kernels[i];
    const GpuKernel &other = further.kernels[i];
    for (double GpuKernel::*part :
         {&GpuKernel::vectorOps, &GpuKernel::activationBytes, &GpuKernel::writtenBytes})
      kernel.*part -= (other.*part - kernel.*part) / step * double(past);
    kernel.weightBytes *= weights;
  }
  decoder.weightBytes = workload.weightBytes * weights;
  const GpuKernel *head = nullptr;
  for (const GpuKernel &kernel : workload.kernels)
    if (!kernel.contractions.empty() && !isAttention(kernel))
      head = &kernel;
  if (!head)
    return createStringError("the network is no decoder: it has no product with weights");
  decoder.head = *head;
  decoder.weightBytes += head->weightBytes; // the table of embeddings, of the same size
  for (const GpuKernel &kernel : workload.kernels) {
    if (isAttention(kernel)) {
      ++decoder.attentionLayers;
      continue;
    }
    if (&kernel == head)
      continue;
    auto same = find_if(decoder.perToken, [&](const Decoder::Repeated &entry) {
      return sameWork(entry.kernel, kernel);
    });
    if (same != decoder.perToken.end())
      ++same->count;
    else
      decoder.perToken.push_back({kernel, 1});
  }
  return decoder;
}

Expected<ServingRun> serve(const Gpu &gpu, const Decoder &decoder, const ServingLoad &load,
                           StringRef precision) {
  // The clock falls until the board keeps to its power limit on average.
  auto at = [&](double clockRatio) {
    return Server(gpu, decoder, load, precision, clockRatio).run();
  };
  Expected<ServingRun> run = at(1);
  if (!run || run->boardPowerW < gpu.tdpW)
    return run;
  double low = 0.25, high = 1;
  for (int step = 0; step < 7; ++step) {
    double middle = (low + high) / 2;
    run = at(middle);
    if (!run)
      return run;
    (run->boardPowerW < gpu.tdpW ? low : high) = middle;
  }
  return at(low);
}

} // namespace npucc
