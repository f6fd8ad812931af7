//===- Unet.cpp - The denoiser of Stable Diffusion 1 --------------------------===//
//
// Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, CVPR 2022.
//
//===----------------------------------------------------------------------===//

#include "models/zoo/Diffusion.h"
#include "models/zoo/Families.h"

using namespace npucc;
using namespace npucc::zoo;

namespace {

class Unet {
public:
  Unet(NetworkBuilder &b, DataMap &config)
      : b(b), side(size(config, "latent")), channels(size(config, "latent_channels")),
        base(size(config, "channels")), heads(size(config, "heads")),
        context(size(config, "context")), contextTokens(size(config, "context_tokens")) {
    DataMap multiples = config.map("multiples");
    for (const char *level : {"level0", "level1", "level2", "level3"})
      widths.push_back(base * size(multiples, level));
    multiples.finish();
  }

  void build();

private:
  ValueId norm(const std::string &name, ValueId x, int64_t width, float epsilon) {
    return b.node(
        "GroupNormalization", name,
        {x, b.weight(name + ".weight", {width}, 0.02, 1), b.weight(name + ".bias", {width}, 0.02)},
        {{"num_groups", {int64_t(32)}}, {"epsilon", {epsilon}}});
  }
  ValueId residual(const std::string &name, ValueId x, int64_t from, int64_t to);
  ValueId transformer(const std::string &name, ValueId x, int64_t width, int64_t tokens);
  ValueId attend(const std::string &name, ValueId x, ValueId from, int64_t width,
                 int64_t fromWidth);
  ValueId upsample(const std::string &name, ValueId x, int64_t width);

  NetworkBuilder &b;
  int64_t side, channels, base, heads, context, contextTokens;
  Ints widths;
  ValueId step = kNoValue, text = kNoValue;
};

ValueId Unet::residual(const std::string &name, ValueId x, int64_t from, int64_t to) {
  ValueId y = b.silu(name + ".silu1", norm(name + ".norm1", x, from, 1e-5f));
  y = b.conv(name + ".conv1", y, from, to, 3);
  ValueId shift = b.linear(name + ".temb", step, 4 * base, to);
  y = b.add(name + ".step", y,
            b.node("Unsqueeze", name + ".temb.map", {shift, b.ints(name + ".temb.axes", {2, 3})}));
  y = b.silu(name + ".silu2", norm(name + ".norm2", y, to, 1e-5f));
  y = b.conv(name + ".conv2", y, to, to, 3);
  if (from != to)
    x = b.conv(name + ".shortcut", x, from, to, 1);
  return b.add(name + ".add", x, y);
}

ValueId Unet::attend(const std::string &name, ValueId x, ValueId from, int64_t width,
                     int64_t fromWidth) {
  auto project = [&](const char *what, ValueId source, int64_t sourceWidth) {
    std::string full = name + "." + what;
    return b.splitHeads(full + ".heads", b.linear(full, source, sourceWidth, width, false), heads,
                        width / heads);
  };
  ValueId q = project("q", x, width), k = project("k", from, fromWidth);
  ValueId y = b.attention(name, q, k, project("v", from, fromWidth), width / heads);
  return b.linear(name + ".out", b.mergeHeads(name + ".merge", y, heads, width / heads), width,
                  width);
}

/// Self-attention, attention to the text, and a gated feed-forward part (GEGLU).
ValueId Unet::transformer(const std::string &name, ValueId image, int64_t width, int64_t tokens) {
  ValueId x = b.conv(name + ".proj_in", norm(name + ".norm", image, width, 1e-6f), width, width, 1);
  x = b.transpose(name + ".tokens", b.reshape(name + ".flat", x, {0, width, tokens}), {0, 2, 1});
  ValueId y = b.layerNorm(name + ".norm1", x, width, 1e-5);
  x = b.add(name + ".add1", x, attend(name + ".attn1", y, y, width, width));
  y = b.layerNorm(name + ".norm2", x, width, 1e-5);
  x = b.add(name + ".add2", x, attend(name + ".attn2", y, text, width, context));
  y = b.linear(name + ".ff.geglu", b.layerNorm(name + ".norm3", x, width, 1e-5), width, 8 * width);
  auto parts = b.split(name + ".ff.parts", y, 2, {4 * width, 4 * width});
  y = b.mul(name + ".ff.gated", parts[0], b.gelu(name + ".ff.gelu", parts[1], false));
  x = b.add(name + ".add3", x, b.linear(name + ".ff.out", y, 4 * width, width));
  auto rows = static_cast<int64_t>(__builtin_sqrt(double(tokens)));
  x = b.reshape(name + ".map", b.transpose(name + ".channels", x, {0, 2, 1}),
                {0, width, rows, rows});
  return b.add(name + ".add", image, b.conv(name + ".proj_out", x, width, width, 1));
}

ValueId Unet::upsample(const std::string &name, ValueId x, int64_t width) {
  ValueId scales = b.floats32(name + ".scales", {4}, {1, 1, 2, 2});
  x = b.node("Resize", name + ".nearest", {x, kNoValue, scales},
             {{"mode", {std::string("nearest")}},
              {"nearest_mode", {std::string("floor")}},
              {"coordinate_transformation_mode", {std::string("asymmetric")}}});
  return b.conv(name, x, width, width, 3);
}

void Unet::build() {
  std::string s = std::to_string(side);
  ValueId sample = b.input("sample", {"batch", std::to_string(channels), s, s});
  ValueId time = b.input("timestep", {"batch"});
  text = b.input("encoder_hidden_states",
                 {"batch", std::to_string(contextTokens), std::to_string(context)});
  step = embedder(b, "time", stepEmbedding(b, "time.embedding", time, base, 1), base, 4 * base);
  step = b.silu("time.silu", step); // each residual block reads it so

  constexpr int64_t kDownBlocks = 2, kUpBlocks = 3;
  size_t levels = widths.size();
  ValueId x = b.conv("conv_in", sample, channels, base, 3);
  int64_t width = base, cells = side * side;
  std::vector<std::pair<ValueId, int64_t>> skips{{x, width}};
  for (size_t level = 0; level < levels; ++level) {
    std::string name = "down" + std::to_string(level);
    bool lowest = level + 1 == levels;
    for (int64_t i = 0; i < kDownBlocks; ++i) {
      std::string index = std::to_string(i);
      x = residual(name + ".res" + index, x, width, widths[level]);
      width = widths[level];
      if (!lowest)
        x = transformer(name + ".attn" + index, x, width, cells);
      skips.emplace_back(x, width);
    }
    if (lowest)
      break;
    x = b.conv(name + ".down", x, width, width, 3, 2);
    skips.emplace_back(x, width);
    cells /= 4;
  }
  x = residual("mid.res0", x, width, width);
  x = transformer("mid.attn", x, width, cells);
  x = residual("mid.res1", x, width, width);
  for (size_t up = 0; up < levels; ++up) {
    std::string name = "up" + std::to_string(up);
    int64_t to = widths[levels - 1 - up];
    for (int64_t i = 0; i < kUpBlocks; ++i) {
      std::string index = std::to_string(i);
      auto [skip, skipWidth] = skips.back();
      skips.pop_back();
      x = b.concat(name + ".concat" + index, {x, skip}, 1);
      x = residual(name + ".res" + index, x, width + skipWidth, to);
      width = to;
      if (up)
        x = transformer(name + ".attn" + index, x, width, cells);
    }
    if (up + 1 == levels)
      break;
    x = upsample(name + ".up", x, width);
    cells *= 4;
  }
  x = b.silu("conv_out.silu", norm("conv_out.norm", x, base, 1e-5f));
  b.output("out_sample", b.conv("conv_out", x, base, channels, 3));
}

} // namespace

void zoo::buildSdUnet(NetworkBuilder &b, DataMap &config) { Unet(b, config).build(); }
