//===- Encoder.cpp - BERT and ViT ---------------------------------------------===//

#include "models/zoo/Families.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;
using llvm::Twine;

namespace {

ValueId selfAttention(NetworkBuilder &b, const Twine &name, ValueId x, int64_t hidden,
                      int64_t heads, ValueId mask) {
  int64_t width = hidden / heads;
  auto project = [&](const char *what) {
    return b.splitHeads(name + "." + what + ".heads",
                        b.linear(name + "." + what, x, hidden, hidden), heads, width);
  };
  ValueId q = project("query"), k = project("key"), v = project("value");
  ValueId y = b.mergeHeads(name + ".merge", b.attention(name, q, k, v, width, mask), heads, width);
  return b.linear(name + ".output", y, hidden, hidden);
}

ValueId feedForward(NetworkBuilder &b, const Twine &name, ValueId x, int64_t hidden, int64_t ffn) {
  ValueId y = b.gelu(name + ".gelu", b.linear(name + ".intermediate", x, hidden, ffn), false);
  return b.linear(name + ".output", y, ffn, hidden);
}

} // namespace

/// Devlin et al., BERT, NAACL 2019: normalisation after each residual. All tokens belong to
/// the first segment.
void zoo::buildBert(NetworkBuilder &b, DataMap &config) {
  int64_t hidden = size(config, "hidden"), layers = size(config, "layers");
  int64_t heads = size(config, "heads"), ffn = size(config, "ffn");
  int64_t vocabulary = size(config, "vocabulary"), positions = size(config, "positions");
  double eps = epsilon(config);

  ValueId ids = b.input("input_ids", ElementType::Int64, {"batch", "seq"});
  ValueId mask = b.input("attention_mask", ElementType::Bool, {"batch", "seq"});
  mask = b.node("Where", "mask", {mask, b.scalar("mask.keep", 0), b.scalar("mask.drop", -1e4)});
  mask = b.node("Unsqueeze", "mask.heads", {mask, b.ints("mask.axes", {1, 2})});

  auto table = [&](const char *name, int64_t rows) {
    return b.weight(Twine("embeddings.") + name, {rows, hidden}, 1);
  };
  ValueId x = b.node("Gather", "embeddings.word", {table("word.weight", vocabulary), ids});
  ValueId length = b.node("Shape", "embeddings.length", {ids}, {{"start", {int64_t(1)}}});
  ValueId zero = b.ints("embeddings.zero", {0});
  ValueId position = b.node("Slice", "embeddings.position",
                            {table("position.weight", positions), zero, length, zero});
  ValueId segment = b.slice("embeddings.segment", table("segment.weight", 2), 0, 0, 1);
  x = b.add("embeddings.add", x, b.add("embeddings.place", position, segment));
  x = b.layerNorm("embeddings.norm", x, hidden, eps);
  for (int64_t i = 0; i < layers; ++i) {
    std::string name = "encoder." + std::to_string(i);
    ValueId y = selfAttention(b, name + ".attention", x, hidden, heads, mask);
    x = b.layerNorm(name + ".attention.norm", b.add(name + ".attention.add", x, y), hidden, eps);
    y = feedForward(b, name + ".ffn", x, hidden, ffn);
    x = b.layerNorm(name + ".ffn.norm", b.add(name + ".ffn.add", x, y), hidden, eps);
  }
  b.output("last_hidden_state", x);
  // The pooler is in the checkpoint, and in its parameter count; no output here needs it.
  ValueId first = b.slice("pooler.first", x, 1, 0, 1);
  b.node("Tanh", "pooler.tanh", {b.linear("pooler", first, hidden, hidden)});
}

/// Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021: normalisation before.
void zoo::buildVit(NetworkBuilder &b, DataMap &config) {
  int64_t image = size(config, "image"), patch = size(config, "patch");
  int64_t hidden = size(config, "hidden"), layers = size(config, "layers");
  int64_t heads = size(config, "heads"), ffn = size(config, "ffn");
  int64_t classes = size(config, "classes");
  double eps = epsilon(config);
  int64_t tokens = image / patch * (image / patch);

  std::string side = std::to_string(image);
  ValueId pixels = b.input("input", {"batch", "3", side, side});
  ValueId weights = b.weight("patch.weight", {hidden, 3, patch, patch},
                             1 / std::sqrt(3.0 * double(patch * patch)));
  ValueId x = b.node("Conv", "patch", {pixels, weights, b.weight("patch.bias", {hidden}, 0.02)},
                     {{"kernel_shape", {Ints{patch, patch}}}, {"strides", {Ints{patch, patch}}}});
  x = b.transpose("tokens", b.reshape("tokens.flat", x, {0, hidden, tokens}), {0, 2, 1});
  // One class token for each image of the batch.
  ValueId batch =
      b.node("Shape", "class.batch", {pixels}, {{"start", {int64_t(0)}}, {"end", {int64_t(1)}}});
  ValueId shape = b.concat("class.shape", {batch, b.ints("class.rest", {1, hidden})}, 0);
  ValueId token = b.node("Expand", "class", {b.weight("class.token", {1, 1, hidden}, 0.02), shape});
  x = b.concat("tokens.all", {token, x}, 1);
  x = b.add("tokens.place", x, b.weight("position", {1, tokens + 1, hidden}, 0.02));
  for (int64_t i = 0; i < layers; ++i) {
    std::string name = "encoder." + std::to_string(i);
    ValueId y = b.layerNorm(name + ".attention.norm", x, hidden, eps);
    y = selfAttention(b, name + ".attention", y, hidden, heads, kNoValue);
    x = b.add(name + ".attention.add", x, y);
    y = feedForward(b, name + ".ffn", b.layerNorm(name + ".ffn.norm", x, hidden, eps), hidden, ffn);
    x = b.add(name + ".ffn.add", x, y);
  }
  x = b.layerNorm("norm", x, hidden, eps);
  x = b.reshape("head.token", b.slice("head.first", x, 1, 0, 1), {0, hidden});
  b.output("output", b.linear("head", x, hidden, classes));
}
