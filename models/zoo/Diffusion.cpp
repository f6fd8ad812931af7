//===- Diffusion.cpp - What diffusion models share ----------------------------===//

#include "models/zoo/Diffusion.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;

ValueId zoo::stepEmbedding(NetworkBuilder &b, const llvm::Twine &name, ValueId step, int64_t width,
                           double factor) {
  Floats frequencies;
  for (int64_t i = 0; i < width / 2; ++i)
    frequencies.push_back(
        static_cast<float>(factor * std::pow(10000.0, -2.0 * double(i) / double(width))));
  ValueId column = b.node("Unsqueeze", name + ".column", {step, b.ints(name + ".axis", {1})});
  ValueId angles =
      b.mul(name + ".angles", column, b.floats(name + ".frequencies", {1, width / 2}, frequencies));
  return b.concat(
      name, {b.node("Cos", name + ".cos", {angles}), b.node("Sin", name + ".sin", {angles})}, 1);
}

ValueId zoo::embedder(NetworkBuilder &b, const llvm::Twine &name, ValueId x, int64_t from,
                      int64_t to) {
  return b.linear(name + ".out", b.silu(name + ".silu", b.linear(name + ".in", x, from, to)), to,
                  to);
}
