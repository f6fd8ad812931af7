//===- Elementwise.h - Applying scalar functions to tensors -----*- C++ -*-===//
#pragma once

#include "runtime/ops/Support.h"

namespace npucc::ops {

/// out[i] = op(in[i])
template <typename Out, typename In, typename Op>
void mapUnary(const Tensor &in, Tensor &out, Op op) {
  ArrayRef<In> x = in.values<In>();
  llvm::MutableArrayRef<Out> y = out.mutableValues<Out>();
  const In *source = x.data();
  Out *target = y.data();
  for (int64_t i = 0, n = static_cast<int64_t>(y.size()); i < n; ++i)
    target[i] = op(source[i]);
}

/// out = op(a, b) with broadcasting; `out` has the broadcast shape. Equal shapes
/// and scalars run as plain loops that the compiler vectorises.
template <typename Out, typename A, typename B, typename Op>
void mapBinary(const Tensor &a, const Tensor &b, Tensor &out, Op op) {
  const A *x = a.values<A>().data();
  const B *y = b.values<B>().data();
  Out *z = out.mutableValues<Out>().data();
  Walk walk = Walk::broadcasting(out.shape(), {a.shape(), b.shape()});
  int64_t stepX = walk.innerStride(0), stepY = walk.innerStride(1), n = walk.rowLength();
  walk.rows([&](const int64_t *offset, int64_t first) {
    const A *p = x + offset[0];
    const B *q = y + offset[1];
    Out *r = z + first;
    if (stepX == 1 && stepY == 1) {
      for (int64_t i = 0; i < n; ++i)
        r[i] = op(p[i], q[i]);
    } else if (stepX == 1 && stepY == 0) {
      B right = *q;
      for (int64_t i = 0; i < n; ++i)
        r[i] = op(p[i], right);
    } else if (stepX == 0 && stepY == 1) {
      A left = *p;
      for (int64_t i = 0; i < n; ++i)
        r[i] = op(left, q[i]);
    } else {
      for (int64_t i = 0; i < n; ++i)
        r[i] = op(p[i * stepX], q[i * stepY]);
    }
  });
}

/// Broadcast shape of two tensors, allocated.
Expected<Tensor> allocateBroadcast(ElementType type, const Tensor &a, const Tensor &b);

} // namespace npucc::ops
