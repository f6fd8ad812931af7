//===- Convolutional.cpp - ResNet and MobileNet -------------------------------===//

#include "models/zoo/Families.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;
using llvm::Twine;

namespace {

/// Convolution and batch normalisation, whose running statistics are those of normalised data.
ValueId convNorm(NetworkBuilder &b, const Twine &name, const Twine &norm, ValueId x, int64_t from,
                 int64_t to, int64_t kernel, int64_t stride, int64_t groups = 1, double gain = 1) {
  ValueId y = b.conv(name, x, from, to, kernel, stride, /*bias=*/false, groups);
  auto channels = static_cast<size_t>(to);
  return b.node("BatchNormalization", norm,
                {y, b.weight(norm + ".weight", {to}, 0.02, gain),
                 b.weight(norm + ".bias", {to}, 0.02),
                 b.floats(norm + ".running_mean", {to}, Floats(channels, 0.0f)),
                 b.floats(norm + ".running_var", {to}, Floats(channels, 1.0f))},
                {{"epsilon", {1e-5f}}});
}

ValueId classifier(NetworkBuilder &b, const Twine &name, ValueId x, int64_t from, int64_t classes) {
  ValueId pooled = b.node("GlobalAveragePool", "avgpool", {x});
  ValueId flat = b.node("Flatten", "flatten", {pooled}, {{"axis", {int64_t(1)}}});
  ValueId weights = b.weight(name + ".weight", {classes, from}, 1 / std::sqrt(double(from)));
  return b.node("Gemm", name, {flat, weights, b.weight(name + ".bias", {classes}, 0.02)},
                {{"transB", {int64_t(1)}}});
}

ValueId relu(NetworkBuilder &b, const Twine &name, ValueId x) { return b.node("Relu", name, {x}); }

} // namespace

/// He et al., Deep Residual Learning, CVPR 2016, table 1, with bottleneck blocks; the stride
/// is in the 3x3 convolution ("v1.5").
void zoo::buildResnet(NetworkBuilder &b, DataMap &config) {
  int64_t image = size(config, "image"), classes = size(config, "classes");
  Ints blocks;
  DataMap depth = config.map("blocks");
  for (const char *stage : {"layer1", "layer2", "layer3", "layer4"})
    blocks.push_back(size(depth, stage));
  depth.finish();

  std::string side = std::to_string(image);
  ValueId x = b.input("input", {"batch", "3", side, side});
  x = relu(b, "relu", convNorm(b, "conv1", "bn1", x, 3, 64, 7, 2));
  x = b.node(
      "MaxPool", "maxpool", {x},
      {{"kernel_shape", {Ints{3, 3}}}, {"pads", {Ints{1, 1, 1, 1}}}, {"strides", {Ints{2, 2}}}});
  int64_t channels = 64, width = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage, width *= 2)
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(i);
      int64_t stride = stage && i == 0 ? 2 : 1;
      ValueId shortcut = x;
      ValueId y = convNorm(b, name + ".conv1", name + ".bn1", x, channels, width, 1, 1);
      y = relu(b, name + ".relu1", y);
      y = convNorm(b, name + ".conv2", name + ".bn2", y, width, width, 3, stride);
      y = relu(b, name + ".relu2", y);
      // Small, so that activations do not grow from block to block.
      y = convNorm(b, name + ".conv3", name + ".bn3", y, width, 4 * width, 1, 1, 1, 0.25);
      if (i == 0)
        shortcut = convNorm(b, name + ".downsample.0", name + ".downsample.1", x, channels,
                            4 * width, 1, stride);
      x = relu(b, name + ".relu3", b.add(name + ".add", y, shortcut));
      channels = 4 * width;
    }
  b.output("output", classifier(b, "fc", x, channels, classes));
}

/// Sandler et al., MobileNetV2, CVPR 2018, table 2.
void zoo::buildMobilenetV2(NetworkBuilder &b, DataMap &config) {
  struct Stage {
    int64_t expansion, channels, repeats, stride;
  };
  static const Stage stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                 {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  int64_t image = size(config, "image"), classes = size(config, "classes");
  std::string side = std::to_string(image);
  ValueId low = b.scalar("clip.low", 0), high = b.scalar("clip.high", 6);
  auto relu6 = [&](const Twine &name, ValueId x) { return b.node("Clip", name, {x, low, high}); };
  ValueId x = b.input("input", {"batch", "3", side, side});
  x = relu6("features.0.relu6", convNorm(b, "features.0.0", "features.0.1", x, 3, 32, 3, 2));
  int64_t channels = 32, index = 1;
  for (const Stage &stage : stages)
    for (int64_t i = 0; i < stage.repeats; ++i, ++index) {
      std::string name = "features." + std::to_string(index);
      int64_t stride = i ? 1 : stage.stride, hidden = channels * stage.expansion;
      ValueId y = x;
      if (stage.expansion > 1)
        y = relu6(name + ".expand.relu6",
                  convNorm(b, name + ".expand", name + ".expand.bn", y, channels, hidden, 1, 1));
      y = relu6(name + ".depthwise.relu6", convNorm(b, name + ".depthwise", name + ".depthwise.bn",
                                                    y, hidden, hidden, 3, stride, hidden));
      y = convNorm(b, name + ".project", name + ".project.bn", y, hidden, stage.channels, 1, 1);
      x = stride == 1 && channels == stage.channels ? b.add(name + ".add", x, y) : y;
      channels = stage.channels;
    }
  x = relu6("features.18.relu6",
            convNorm(b, "features.18.0", "features.18.1", x, channels, 1280, 1, 1));
  b.output("output", classifier(b, "classifier", x, 1280, classes));
}
