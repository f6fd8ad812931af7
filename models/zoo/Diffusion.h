//===- Diffusion.h - What diffusion models share ------------------*- C++ -*-===//
#pragma once

#include "models/zoo/NetworkBuilder.h"

namespace npucc::zoo {

/// [batch] to [batch, width]: cosines and sines of the step, as of a position (Vaswani et al.,
/// Attention Is All You Need, 2017, section 3.5).
ValueId stepEmbedding(NetworkBuilder &b, const llvm::Twine &name, ValueId step, int64_t width,
                      double factor);

/// Linear, SiLU, linear.
ValueId embedder(NetworkBuilder &b, const llvm::Twine &name, ValueId x, int64_t from, int64_t to);

} // namespace npucc::zoo
