//===- Flux.cpp - The denoiser of FLUX.1 --------------------------------------===//
//
// Black Forest Labs, github.com/black-forest-labs/flux, src/flux/model.py: blocks with weights
// of their own for image and text ("double"), then blocks over both together ("single").
// Pairs of rotated elements are (i, i + half): an order of the projections' columns.
//
//===----------------------------------------------------------------------===//

#include "models/zoo/Diffusion.h"
#include "models/zoo/Families.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;
using llvm::Twine;

namespace {

class Flux {
public:
  Flux(NetworkBuilder &b, DataMap &config)
      : b(b), hidden(size(config, "hidden")), heads(size(config, "heads")), width(hidden / heads),
        doubles(size(config, "double_blocks")), singles(size(config, "single_blocks")),
        rows(size(config, "rows")), columns(size(config, "columns")),
        channels(size(config, "channels")), textTokens(size(config, "text_tokens")),
        textWidth(size(config, "text_width")), vectorWidth(size(config, "vector_width")),
        ffn(4 * hidden) {
    DataMap axes = config.map("axes");
    for (const char *axis : {"index", "row", "column"})
      axisWidths.push_back(size(axes, axis));
    axes.finish();
  }

  void build();

private:
  struct Heads {
    ValueId q, k, v;
  };
  ValueId angles(const std::string &name, ValueId places, int64_t elements);
  void rotations();
  std::vector<ValueId> modulation(const std::string &name, int64_t count);
  ValueId modulated(const std::string &name, ValueId x, ValueId shift, ValueId scale) {
    ValueId y = b.layerNorm(name + ".norm", x, hidden, 1e-6, /*affine=*/false);
    return b.add(name, b.mul(name + ".scale", y, b.add(name + ".gain", scale, one)), shift);
  }
  ValueId gated(const std::string &name, ValueId x, ValueId gate, ValueId y) {
    return b.add(name, x, b.mul(name + ".gate", gate, y));
  }
  Heads project(const std::string &name, std::vector<ValueId> qkv);
  ValueId rotate(const std::string &name, ValueId x);
  ValueId attend(const std::string &name, Heads heads);
  void doubleBlock(const std::string &name, ValueId &image, ValueId &text);
  ValueId singleBlock(const std::string &name, ValueId x);

  NetworkBuilder &b;
  int64_t hidden, heads, width, doubles, singles, rows, columns, channels, textTokens, textWidth,
      vectorWidth, ffn;
  Ints axisWidths;
  ValueId one = kNoValue, condition = kNoValue, cosine = kNoValue, sine = kNoValue;
};

/// places x frequencies of one axis.
ValueId Flux::angles(const std::string &name, ValueId places, int64_t elements) {
  Floats frequencies;
  for (int64_t i = 0; i < elements / 2; ++i)
    frequencies.push_back(
        static_cast<float>(std::pow(10000.0, -2.0 * double(i) / double(elements))));
  return b.mul(name, places, b.floats32(name + ".frequencies", {elements / 2}, frequencies));
}

/// Text tokens stand at the origin; image tokens at their row and column.
void Flux::rotations() {
  auto count = [&](const char *name, Ints shape, int64_t size) {
    Floats places;
    for (int64_t i = 0; i < size; ++i)
      places.push_back(static_cast<float>(i));
    return b.floats32(name, std::move(shape), places);
  };
  auto spread = [&](const char *name, ValueId x, Ints shape) {
    return b.node("Expand", name, {x, b.ints(Twine(name) + ".shape", std::move(shape))});
  };
  ValueId zero = b.floats32("rotary.zero", {1}, {0});
  int64_t half = width / 2, rowHalf = axisWidths[1] / 2, columnHalf = axisWidths[2] / 2;
  ValueId row = angles("rotary.row", count("rotary.rows", {rows, 1, 1}, rows), axisWidths[1]);
  ValueId column =
      angles("rotary.column", count("rotary.columns", {1, columns, 1}, columns), axisWidths[2]);
  ValueId image = b.concat("rotary.axes",
                           {spread("rotary.index.all", zero, {rows, columns, axisWidths[0] / 2}),
                            spread("rotary.row.all", row, {rows, columns, rowHalf}),
                            spread("rotary.column.all", column, {rows, columns, columnHalf})},
                           2);
  image = b.reshape("rotary.image", image, {rows * columns, half});
  ValueId all =
      b.concat("rotary.angles", {spread("rotary.text", zero, {textTokens, half}), image}, 0);
  all = b.concat("rotary.both", {all, all}, 1);
  auto cast = [&](const char *name, ValueId x) {
    return b.elementType() == ElementType::Float32
               ? x
               : b.node("Cast", name, {x}, {{"to", {static_cast<int64_t>(b.elementType())}}});
  };
  cosine = cast("rotary.cos.cast", b.node("Cos", "rotary.cos", {all}));
  sine = cast("rotary.sin.cast", b.node("Sin", "rotary.sin", {all}));
}

/// Shifts, scales and gates of [batch, 1, hidden] from the condition.
std::vector<ValueId> Flux::modulation(const std::string &name, int64_t count) {
  ValueId y = b.linear(name, condition, hidden, count * hidden);
  y = b.node("Unsqueeze", name + ".tokens", {y, b.ints(name + ".axis", {1})});
  return b.split(name + ".parts", y, 2, Ints(static_cast<size_t>(count), hidden));
}

Flux::Heads Flux::project(const std::string &name, std::vector<ValueId> qkv) {
  Heads h{b.splitHeads(name + ".q", qkv[0], heads, width),
          b.splitHeads(name + ".k", qkv[1], heads, width),
          b.splitHeads(name + ".v", qkv[2], heads, width)};
  h.q = b.rmsNorm(name + ".query_norm", h.q, width, 1e-6);
  h.k = b.rmsNorm(name + ".key_norm", h.k, width, 1e-6);
  return h;
}

ValueId Flux::rotate(const std::string &name, ValueId x) {
  auto halves = b.split(name + ".halves", x, 3, {width / 2, width / 2});
  ValueId turned =
      b.concat(name + ".turned", {b.node("Neg", name + ".neg", {halves[1]}), halves[0]}, 3);
  return b.add(name + ".rotary", b.mul(name + ".cos", x, cosine),
               b.mul(name + ".sin", turned, sine));
}

ValueId Flux::attend(const std::string &name, Heads h) {
  ValueId q = rotate(name + ".q", h.q), k = rotate(name + ".k", h.k);
  return b.mergeHeads(name + ".merge", b.attention(name, q, k, h.v, width), heads, width);
}

void Flux::doubleBlock(const std::string &name, ValueId &image, ValueId &text) {
  std::string names[2] = {name + ".txt", name + ".img"};
  ValueId streams[2] = {text, image};
  std::vector<ValueId> parts[2];
  Heads own[2];
  for (int i = 0; i < 2; ++i) {
    parts[i] = modulation(names[i] + ".mod", 6);
    ValueId y = modulated(names[i] + ".attention.in", streams[i], parts[i][0], parts[i][1]);
    y = b.linear(names[i] + ".qkv", y, hidden, 3 * hidden);
    own[i] = project(names[i], b.split(names[i] + ".qkv.parts", y, 2, Ints(3, hidden)));
  }
  ValueId all = attend(name, {b.concat(name + ".q.all", {own[0].q, own[1].q}, 2),
                              b.concat(name + ".k.all", {own[0].k, own[1].k}, 2),
                              b.concat(name + ".v.all", {own[0].v, own[1].v}, 2)});
  auto mixed = b.split(name + ".streams", all, 1, {textTokens, rows * columns});
  for (int i = 0; i < 2; ++i) {
    ValueId y = b.linear(names[i] + ".proj", mixed[static_cast<size_t>(i)], hidden, hidden);
    ValueId x = gated(names[i] + ".attention.add", streams[i], parts[i][2], y);
    y = modulated(names[i] + ".mlp.in", x, parts[i][3], parts[i][4]);
    y = b.gelu(names[i] + ".mlp.gelu", b.linear(names[i] + ".mlp1", y, hidden, ffn), true);
    streams[i] =
        gated(names[i] + ".mlp.add", x, parts[i][5], b.linear(names[i] + ".mlp2", y, ffn, hidden));
  }
  text = streams[0];
  image = streams[1];
}

ValueId Flux::singleBlock(const std::string &name, ValueId x) {
  auto parts = modulation(name + ".mod", 3);
  ValueId y = modulated(name + ".in", x, parts[0], parts[1]);
  y = b.linear(name + ".linear1", y, hidden, 3 * hidden + ffn);
  auto all = b.split(name + ".parts", y, 2, {hidden, hidden, hidden, ffn});
  ValueId mixed = attend(name, project(name, {all[0], all[1], all[2]}));
  y = b.concat(name + ".both", {mixed, b.gelu(name + ".gelu", all[3], true)}, 2);
  return gated(name + ".add", x, parts[2], b.linear(name + ".linear2", y, hidden + ffn, hidden));
}

void Flux::build() {
  auto number = [](int64_t value) { return std::to_string(value); };
  ValueId image = b.input("img", {"batch", number(rows * columns), number(channels)});
  ValueId text = b.input("txt", {"batch", number(textTokens), number(textWidth)});
  ValueId step = b.input("timesteps", {"batch"}), guidance = b.input("guidance", {"batch"});
  ValueId pooled = b.input("y", {"batch", number(vectorWidth)});

  constexpr int64_t kStepWidth = 256;
  constexpr double kStepFactor = 1000;
  one = b.scalar("one", 1);
  rotations();
  ValueId x = embedder(b, "time_in", stepEmbedding(b, "time", step, kStepWidth, kStepFactor),
                       kStepWidth, hidden);
  x = b.add("condition.guidance", x,
            embedder(b, "guidance_in",
                     stepEmbedding(b, "guidance.embedding", guidance, kStepWidth, kStepFactor),
                     kStepWidth, hidden));
  x = b.add("condition", x, embedder(b, "vector_in", pooled, vectorWidth, hidden));
  condition = b.silu("condition.silu", x); // each modulation reads it so

  image = b.linear("img_in", image, channels, hidden);
  text = b.linear("txt_in", text, textWidth, hidden);
  for (int64_t i = 0; i < doubles; ++i)
    doubleBlock("double_blocks." + number(i), image, text);
  x = b.concat("tokens", {text, image}, 1);
  for (int64_t i = 0; i < singles; ++i)
    x = singleBlock("single_blocks." + number(i), x);
  x = b.split("streams", x, 1, {textTokens, rows * columns})[1];
  auto parts = modulation("final.mod", 2);
  x = modulated("final.in", x, parts[0], parts[1]);
  b.output("output", b.linear("final", x, hidden, channels));
}

} // namespace

void zoo::buildFlux(NetworkBuilder &b, DataMap &config) {
  Flux flux(b, config);
  flux.build();
}
