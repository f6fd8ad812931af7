//===- GpuLlm.cpp - Decoders that serve requests on a GPU -----------------===//
//
// gpu, precision, network (a decoder with the dimensions batch, seq and past), requests,
// input_tokens, output_tokens: output tokens a second when all requests come at once.
//
//===----------------------------------------------------------------------===//

#include "simulator/baseline/Serving.h"
#include "simulator/validate/Evaluators.h"

#include <cmath>

using namespace llvm;

namespace npucc {

Expected<Figure> gpuLlm(Fields &fields, Networks &networks) {
  std::string name, precision, network;
  ServingLoad load;
  fields.text("gpu", name);
  fields.text("precision", precision);
  fields.text("network", network);
  fields.integer("requests", load.requests, 1, 1 << 24);
  fields.integer("input_tokens", load.inputTokens, 1, 1 << 24);
  fields.integer("output_tokens", load.outputTokens, 1, 1 << 24);
  if (Error error = fields.done())
    return std::move(error);
  Expected<Gpu> gpu = gpuWith(name, precision);
  if (!gpu)
    return gpu.takeError();
  constexpr int64_t kPast = 1024, kLonger = 2048;
  Expected<const Graph *> graph =
      networks.get(network, {{"batch", 1}, {"seq", 1}, {"past", kPast}});
  if (!graph)
    return graph.takeError();
  Expected<const Graph *> longer =
      networks.get(network, {{"batch", 1}, {"seq", 1}, {"past", kLonger}});
  if (!longer)
    return longer.takeError();
  Expected<Decoder> decoder = makeDecoder(**graph, kPast, **longer, kLonger, precision);
  if (!decoder)
    return decoder.takeError();
  Expected<ServingRun> run = serve(*gpu, *decoder, load, precision);
  if (!run)
    return run.takeError();
  Figure figure;
  figure.value = run->outputTokensPerSecond;
  auto whole = [](double value) { return std::to_string(int(std::round(value))); };
  figure.note = std::to_string(run->concurrent) + " requests in flight, iterations of " +
                whole(run->iterationS * 1e3) + " ms, " + whole(run->boardPowerW) + " W";
  return figure;
}

} // namespace npucc
