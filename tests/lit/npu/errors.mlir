// RUN: npu-opt %s --split-input-file --verify-diagnostics

func.func @dynamic() {
  // expected-error@+1 {{needs memrefs of static shape and strides, found 'memref<?x4xf32, #npu.mem<spm>>'}}
  %0 = npu.buffer : memref<?x4xf32, #npu.mem<spm>>
  return
}

// -----

func.func @no_slots() {
  // expected-error@+1 {{has 0 slots}}
  %0 = npu.buffer {slots = 0 : i64} : memref<4xf32, #npu.mem<spm>>
  return
}

// -----

func.func @ring_in_dram() {
  // expected-error@+1 {{is a ring in DRAM; rings are for tiles}}
  %0 = npu.buffer {slots = 2 : i64} : memref<4xf32, #npu.mem<dram>>
  return
}

// -----

func.func @constant_shape() {
  %c = onnx.constant dense<1.0> : tensor<4xf32>
  // expected-error@+1 {{turns 'tensor<4xf32>' into 'memref<5xf32, #npu.mem<dram>>'}}
  %0 = npu.constant %c : tensor<4xf32> -> memref<5xf32, #npu.mem<dram>>
  return
}

// -----

func.func @constant_rank(%c: tensor<*xf32>) {
  // expected-error@+1 {{turns 'tensor<*xf32>' into 'memref<5xf32, #npu.mem<dram>>'}}
  %0 = npu.constant %c : tensor<*xf32> -> memref<5xf32, #npu.mem<dram>>
  return
}

// -----

func.func @constant_space() {
  %c = onnx.constant dense<1.0> : tensor<4xf32>
  // expected-error@+1 {{constants start in DRAM}}
  %0 = npu.constant %c : tensor<4xf32> -> memref<4xf32, #npu.mem<spm>>
  return
}

// -----

func.func @copy_type(%x: memref<8xf32>, %t: memref<4xf16, #npu.mem<spm>>) {
  // expected-error@+1 {{copies between 'memref<8xf32>' and 'memref<4xf16, #npu.mem<spm>>'}}
  npu.load %x[affine_map<() -> (0)>] () to %t on <load, 0>
      : memref<8xf32> -> memref<4xf16, #npu.mem<spm>>
  return
}

// -----

func.func @copy_origin(%x: memref<8x8xf32>, %t: memref<4x4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{needs an origin of 2 coordinates over 0 loops}}
  npu.load %x[affine_map<()[s0] -> (s0, 0)>] () to %t on <load, 0>
      : memref<8x8xf32> -> memref<4x4xf32, #npu.mem<spm>>
  return
}

// -----

func.func @copy_engine(%x: memref<8xf32>, %t: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{is on the wrong engine}}
  npu.store %t to %x[affine_map<() -> (0)>] () on <load, 0>
      : memref<4xf32, #npu.mem<spm>> -> memref<8xf32>
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @extent(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{nest extent 0 is not positive}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[0], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]>
      [#plain, #plain] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @nest_lists(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{nest lists differ in length}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0, 0], roles = [5]>
      [#plain, #plain] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @accesses(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{has 2 memrefs and 1 accesses}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]> [#plain] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @access_kind(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{access 1 is not an #npu.access: "plain"}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]>
      [#plain, "plain"] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
#wide = #npu.access<(d0, d1) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @access_dims(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{access 1 has a map of 2 dims and 0 symbols, the nest 1 and 0}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]>
      [#plain, #wide] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @access_rank(%x: memref<4xf32, #npu.mem<spm>>, %y: memref<4x1xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{access 1 needs map, origin and bounds of rank 2}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%y : memref<4x1xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]>
      [#plain, #plain] do {
  ^bb0(%in: f32, %out: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
#sum = #npu.access<(d0) -> (0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @initial(%x: memref<4xf32, #npu.mem<spm>>, %y: memref<1xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{reduces into 1 outputs with 0 initial values}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%y : memref<1xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [1], roles = [5]>
      [#plain, #sum] do {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    npu.yield %0 : f32
  }
  return
}

// -----

#plain = #npu.access<(d0) -> (d0), origin = () -> (0), bounds = [-1], fill = 0.0>
func.func @body(%x: memref<4xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{needs a body with an argument per memref}}
  npu.vector ins(%x : memref<4xf32, #npu.mem<spm>>) outs(%x : memref<4xf32, #npu.mem<spm>>)
      ivs() <[4], bounds = [-1], starts = () -> (0), reduction = [0], roles = [5]>
      [#plain, #plain] do {
  ^bb0(%in: f32):
    npu.yield %in : f32
  }
  return
}

// -----

#a = #npu.access<(d0, d1, d2) -> (d0, d2), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#b = #npu.access<(d0, d1, d2) -> (d2, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#c = #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
func.func @accumulator(%a: memref<4x8xf32, #npu.mem<spm>>, %b: memref<8x16xf32, #npu.mem<spm>>,
                       %c: memref<4x16xf32, #npu.mem<spm>>) {
  // expected-error@+1 {{accumulates outside the accumulators}}
  npu.matrix(%a, %b) acc(%c) ivs() <[4, 16, 8], bounds = [-1, -1, -1], starts = () -> (0, 0, 0),
      reduction = [0, 0, 1], roles = [1, 2, 3]> [#a, #b, #c] : memref<4x8xf32, #npu.mem<spm>>,
      memref<8x16xf32, #npu.mem<spm>>, memref<4x16xf32, #npu.mem<spm>> do {
  }
  return
}

// -----

#a = #npu.access<(d0, d1, d2) -> (d0, d2), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#b = #npu.access<(d0, d1, d2) -> (d2, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#c = #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
func.func @epilogue(%a: memref<4x8xf32, #npu.mem<spm>>, %b: memref<8x16xf32, #npu.mem<spm>>,
                    %c: memref<4x16xf32, #npu.mem<acc>>) {
  // expected-error@+1 {{needs an output exactly when it has an epilogue}}
  npu.matrix(%a, %b) acc(%c) ivs() <[4, 16, 8], bounds = [-1, -1, -1], starts = () -> (0, 0, 0),
      reduction = [0, 0, 1], roles = [1, 2, 3]> [#a, #b, #c] : memref<4x8xf32, #npu.mem<spm>>,
      memref<8x16xf32, #npu.mem<spm>>, memref<4x16xf32, #npu.mem<acc>> do {
  ^bb0(%sum: f32):
    npu.yield %sum : f32
  }
  return
}

// -----

#a = #npu.access<(d0, d1, d2) -> (d0, d2), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#b = #npu.access<(d0, d1, d2) -> (d2, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
#c = #npu.access<(d0, d1, d2) -> (d0, d1), origin = () -> (0, 0), bounds = [-1, -1], fill = 0.0>
func.func @condition(%a: memref<4x8xf32, #npu.mem<spm>>, %b: memref<8x16xf32, #npu.mem<spm>>,
                     %c: memref<4x16xf32, #npu.mem<acc>>) {
  // expected-error@+1 {{a condition is one expression of the 0 outer loops}}
  npu.matrix(%a, %b) acc(%c) ivs() <[4, 16, 8], bounds = [-1, -1, -1], starts = () -> (0, 0, 0),
      reduction = [0, 0, 1], roles = [1, 2, 3]> [#a, #b, #c]
      {clear_if = affine_map<()[s0] -> (s0)>} : memref<4x8xf32, #npu.mem<spm>>,
      memref<8x16xf32, #npu.mem<spm>>, memref<4x16xf32, #npu.mem<acc>> do {
  }
  return
}
