// What a group becomes: its tensors in DRAM, tiles in scratchpad and accumulators, one loop nest.
// RUN: npu-opt %s --split-input-file --convert-onnx-to-linalg --npucc-fuse-elementwise --npu-schedule | FileCheck %s

// The activation is the epilogue of the product; rows stream through double buffers, while the
// weights are loaded once, ahead of the loop and on their own channel.
// CHECK-LABEL: func.func @main
// CHECK-SAME: npu.acc_bytes = {{[0-9]+}}
// CHECK-SAME: npu.spm_bytes = {{[0-9]+}}
func.func @main(%a: tensor<64x96xf32> {onnx.name = "a"}) -> (tensor<64x80xf32> {onnx.name = "y"}) {
  // CHECK: %[[Y:.*]] = npu.buffer : memref<64x80xf32, strided<[80, 1]>, #npu.mem<dram>>
  // CHECK: npu.output %[[Y]], "y"
  // CHECK: %[[A:.*]] = npu.input "a" : memref<64x96xf32, strided<[96, 1]>, #npu.mem<dram>>
  // CHECK: %[[TILE:.*]] = npu.buffer {address = {{.*}}, slots = 2 : i64} : memref<[[ROWS:[0-9]+]]x96xf32
  // CHECK: %[[WEIGHTS:.*]] = npu.buffer {address = {{.*}}} : memref<96x80xf32, strided<[80, 1]>, #npu.mem<spm>>
  // CHECK: %[[ACC:.*]] = npu.buffer {address = {{.*}}} : memref<[[ROWS]]x80xf32, {{.*}}, #npu.mem<acc>>
  // CHECK: %[[OUT:.*]] = npu.buffer {address = {{.*}}, slots = 2 : i64} : memref<[[ROWS]]x80xf32, {{.*}}, #npu.mem<spm>>
  // CHECK: npu.load {{.*}} on <load, 1>
  // CHECK: scf.for %[[I:.*]] =
  // CHECK-NEXT: npu.load %[[A]][#{{.*}}] (%[[I]]) to %[[TILE]] on <load, 0>
  // CHECK-NEXT: npu.matrix(%[[TILE]], %[[WEIGHTS]]) acc(%[[ACC]]) out(%[[OUT]]
  // CHECK-SAME: ivs(%[[I]]) <[[[ROWS]], 80, 96]
  // CHECK-SAME: reduction = [0, 0, 1], roles = [1, 2, 3]
  // CHECK: arith.maximumf
  // CHECK: npu.yield
  // CHECK: npu.store %[[OUT]] to %[[Y]][#{{.*}}] (%[[I]]) on <store, 0>
  // CHECK-NOT: npu.vector
  %w = onnx.constant dense<0.5> : tensor<96x80xf32>
  %y = onnx.node "MatMul"(%a, %w) {}
      : (tensor<64x96xf32>, tensor<96x80xf32>) -> tensor<64x80xf32>
  %z = onnx.node "Relu"(%y) {} : (tensor<64x80xf32>) -> tensor<64x80xf32>
  return %z : tensor<64x80xf32>
}

// -----

// A convolution keeps its window dimensions, padding is in the bounds of the access, and bias and
// activation are its epilogue.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x16x20x20xf32> {onnx.name = "x"}) -> (tensor<1x32x20x20xf32> {onnx.name = "y"}) {
  // CHECK: %[[X:.*]] = npu.input "x"
  // CHECK: scf.for
  // CHECK: npu.load %[[X]][#{{.*}}] ({{.*}}) to %{{.*}} on <load, 0>
  // CHECK: npu.matrix({{.*}} params(%{{.*}} : memref<32xf32
  // CHECK-SAME: 16, 3, 3], bounds =
  // CHECK-SAME: reduction = [0, 0, 0, 0, 1, 1, 1], roles = [1, 2, 1, 1, 3, 4, 4]
  // CHECK-SAME: bounds = [-1, -1, 20, 20], fill = 0.000000e+00
  // CHECK: arith.addf
  // CHECK: arith.maximumf
  // CHECK-NOT: npu.vector
  %w = onnx.constant dense<0.5> : tensor<32x16x3x3xf32>
  %b = onnx.constant dense<0.25> : tensor<32xf32>
  %y = onnx.node "Conv"(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x16x20x20xf32>, tensor<32x16x3x3xf32>, tensor<32xf32>) -> tensor<1x32x20x20xf32>
  %z = onnx.node "Relu"(%y) {} : (tensor<1x32x20x20xf32>) -> tensor<1x32x20x20xf32>
  return %z : tensor<1x32x20x20xf32>
}

// -----

// Softmax stays on tiles: maximum, exponential, sum and quotient in one loop, each row is read once.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<8x1000xf32> {onnx.name = "x"}) -> (tensor<8x1000xf32> {onnx.name = "y"}) {
  // CHECK: scf.for
  // CHECK-NEXT: npu.load
  // CHECK-NEXT: npu.vector {{.*}} reduction = [0, 1]{{.*}} {initial = array<f64: 0xFFF0000000000000>}
  // CHECK: arith.maximumf
  // CHECK: npu.vector
  // CHECK: math.exp
  // CHECK: npu.vector {{.*}} {initial = array<f64: 0.000000e+00>}
  // CHECK: arith.addf
  // CHECK: npu.vector
  // CHECK: arith.divf
  // CHECK: npu.store
  // CHECK-NOT: npu.load
  %y = onnx.node "Softmax"(%x) {axis = 1 : i64} : (tensor<8x1000xf32>) -> tensor<8x1000xf32>
  return %y : tensor<8x1000xf32>
}

// -----

// What has no lowering runs on the control core, between tensors in DRAM.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<8x100xf32> {onnx.name = "x"}) -> (tensor<8x4xf32> {onnx.name = "y"}) {
  // CHECK: npu.host "TopK"(%{{.*}}, %{{.*}} : memref<8x100xf32, {{.*}}#npu.mem<dram>>, memref<1xi64, {{.*}}#npu.mem<dram>>)
  // CHECK-SAME: reason = "the operator has no lowering"
  %k = onnx.constant dense<4> : tensor<1xi64>
  %y:2 = onnx.node "TopK"(%x, %k) {axis = 1 : i64}
      : (tensor<8x100xf32>, tensor<1xi64>) -> (tensor<8x4xf32>, tensor<8x4xi64>)
  return %y#0 : tensor<8x4xf32>
}
