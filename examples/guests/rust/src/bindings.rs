#[allow(dead_code, clippy::all)]
pub mod wasi {
    pub mod messaging {
        /// What messages are, and where they come from and go to.
        #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
        pub mod types {
            #[used]
            #[doc(hidden)]
            static __FORCE_SECTION_REF: fn() = super::super::super::__link_custom_section_describing_imports;
            use super::super::super::_rt;
            /// Pairs of names and values. A name may occur more than once.
            pub type Metadata = _rt::Vec<(_rt::String, _rt::String)>;
            /// The name of a channel on a broker: a queue, a topic, a subject.
            pub type Topic = _rt::String;
            /// A connection that the host keeps. Which broker it leads to is the host's configuration, not the component's.
            #[derive(Debug)]
            #[repr(transparent)]
            pub struct Client {
                handle: _rt::Resource<Client>,
            }
            impl Client {
                #[doc(hidden)]
                pub unsafe fn from_handle(handle: u32) -> Self {
                    Self {
                        handle: unsafe { _rt::Resource::from_handle(handle) },
                    }
                }
                #[doc(hidden)]
                pub fn take_handle(&self) -> u32 {
                    _rt::Resource::take_handle(&self.handle)
                }
                #[doc(hidden)]
                pub fn handle(&self) -> u32 {
                    _rt::Resource::handle(&self.handle)
                }
            }
            unsafe impl _rt::WasmResource for Client {
                #[inline]
                unsafe fn drop(_handle: u32) {
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "[resource-drop]client"]
                        fn drop(_: i32);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn drop(_: i32) {
                        unreachable!()
                    }
                    unsafe {
                        drop(_handle as i32);
                    }
                }
            }
            /// Why something could not be done.
            #[derive(Clone)]
            pub enum Error {
                /// No answer within the time given.
                Timeout,
                /// The broker can't be reached, or the client was disconnected.
                Connection(_rt::String),
                /// The component's configuration, or the broker, forbids it.
                PermissionDenied(_rt::String),
                /// Anything else; the text says what.
                Other(_rt::String),
            }
            impl ::core::fmt::Debug for Error {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    match self {
                        Error::Timeout => f.debug_tuple("Error::Timeout").finish(),
                        Error::Connection(e) => f.debug_tuple("Error::Connection").field(e).finish(),
                        Error::PermissionDenied(e) => f.debug_tuple("Error::PermissionDenied").field(e).finish(),
                        Error::Other(e) => f.debug_tuple("Error::Other").field(e).finish(),
                    }
                }
            }
            impl ::core::fmt::Display for Error {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    write!(f, "{:?}", self)
                }
            }
            impl ::core::error::Error for Error {}
            /// A message. It may be changed until it is sent.
            #[derive(Debug)]
            #[repr(transparent)]
            pub struct Message {
                handle: _rt::Resource<Message>,
            }
            impl Message {
                #[doc(hidden)]
                pub unsafe fn from_handle(handle: u32) -> Self {
                    Self {
                        handle: unsafe { _rt::Resource::from_handle(handle) },
                    }
                }
                #[doc(hidden)]
                pub fn take_handle(&self) -> u32 {
                    _rt::Resource::take_handle(&self.handle)
                }
                #[doc(hidden)]
                pub fn handle(&self) -> u32 {
                    _rt::Resource::handle(&self.handle)
                }
            }
            unsafe impl _rt::WasmResource for Message {
                #[inline]
                unsafe fn drop(_handle: u32) {
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "[resource-drop]message"]
                        fn drop(_: i32);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn drop(_: i32) {
                        unreachable!()
                    }
                    unsafe {
                        drop(_handle as i32);
                    }
                }
            }
            impl Client {
                #[allow(unused_unsafe, clippy::all)]
                /// Gives the client of that name, if the component's configuration grants it.
                #[allow(async_fn_in_trait)]
                pub fn connect(name: &str) -> ::core::result::Result<Client, Error> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 4 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 4 * ::core::mem::size_of::<*const u8>()]);
                        let vec0 = name;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        let ptr1 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[static]client.connect"]
                            fn wit_import2(_: *mut u8, _: usize, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import2(_: *mut u8, _: usize, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import2(ptr0.cast_mut(), len0, ptr1);
                        let l3 = i32::from(*ptr1.add(0).cast::<u8>());
                        let result16 = match l3 {
                            0 => {
                                let e = {
                                    let l4 = *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<i32>();
                                    Client::from_handle(l4 as u32)
                                };
                                Ok(e)
                            }
                            1 => {
                                let e = {
                                    let l5 = i32::from(*ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>());
                                    let v15 = match l5 {
                                        0 => Error::Timeout,
                                        1 => {
                                            let e15 = {
                                                let l6 = *ptr1
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l7 =
                                                    *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len8 = l7;
                                                let bytes8 = _rt::Vec::from_raw_parts(l6.cast(), len8, len8);
                                                _rt::string_lift(bytes8)
                                            };
                                            Error::Connection(e15)
                                        }
                                        2 => {
                                            let e15 = {
                                                let l9 = *ptr1
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l10 =
                                                    *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len11 = l10;
                                                let bytes11 = _rt::Vec::from_raw_parts(l9.cast(), len11, len11);
                                                _rt::string_lift(bytes11)
                                            };
                                            Error::PermissionDenied(e15)
                                        }
                                        n => {
                                            debug_assert_eq!(n, 3, "invalid enum discriminant");
                                            let e15 = {
                                                let l12 = *ptr1
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l13 =
                                                    *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len14 = l13;
                                                let bytes14 = _rt::Vec::from_raw_parts(l12.cast(), len14, len14);
                                                _rt::string_lift(bytes14)
                                            };
                                            Error::Other(e15)
                                        }
                                    };
                                    v15
                                };
                                Err(e)
                            }
                            _ => _rt::invalid_enum_discriminant(),
                        };
                        result16
                    }
                }
            }
            impl Client {
                #[allow(unused_unsafe, clippy::all)]
                /// Ends the use of this client. The host's connection stays open for others.
                #[allow(async_fn_in_trait)]
                pub fn disconnect(&self) -> ::core::result::Result<(), Error> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 4 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 4 * ::core::mem::size_of::<*const u8>()]);
                        let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]client.disconnect"]
                            fn wit_import1(_: i32, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0);
                        let l2 = i32::from(*ptr0.add(0).cast::<u8>());
                        let result14 = match l2 {
                            0 => {
                                let e = ();
                                Ok(e)
                            }
                            1 => {
                                let e = {
                                    let l3 = i32::from(*ptr0.add(::core::mem::size_of::<*const u8>()).cast::<u8>());
                                    let v13 = match l3 {
                                        0 => Error::Timeout,
                                        1 => {
                                            let e13 = {
                                                let l4 = *ptr0
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l5 =
                                                    *ptr0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len6 = l5;
                                                let bytes6 = _rt::Vec::from_raw_parts(l4.cast(), len6, len6);
                                                _rt::string_lift(bytes6)
                                            };
                                            Error::Connection(e13)
                                        }
                                        2 => {
                                            let e13 = {
                                                let l7 = *ptr0
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l8 =
                                                    *ptr0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len9 = l8;
                                                let bytes9 = _rt::Vec::from_raw_parts(l7.cast(), len9, len9);
                                                _rt::string_lift(bytes9)
                                            };
                                            Error::PermissionDenied(e13)
                                        }
                                        n => {
                                            debug_assert_eq!(n, 3, "invalid enum discriminant");
                                            let e13 = {
                                                let l10 = *ptr0
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l11 =
                                                    *ptr0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                let len12 = l11;
                                                let bytes12 = _rt::Vec::from_raw_parts(l10.cast(), len12, len12);
                                                _rt::string_lift(bytes12)
                                            };
                                            Error::Other(e13)
                                        }
                                    };
                                    v13
                                };
                                Err(e)
                            }
                            _ => _rt::invalid_enum_discriminant(),
                        };
                        result14
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// A new message with this body and nothing else.
                #[allow(async_fn_in_trait)]
                pub fn new(data: &[u8]) -> Self {
                    unsafe {
                        let vec0 = data;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[constructor]message"]
                            fn wit_import1(_: *mut u8, _: usize) -> i32;
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: *mut u8, _: usize) -> i32 {
                            unreachable!()
                        }
                        let ret = wit_import1(ptr0.cast_mut(), len0);
                        Message::from_handle(ret as u32)
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// The channel on which the message arrived; none for one that was made here.
                #[allow(async_fn_in_trait)]
                pub fn topic(&self) -> ::core::option::Option<Topic> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 3 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 3 * ::core::mem::size_of::<*const u8>()]);
                        let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.topic"]
                            fn wit_import1(_: i32, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0);
                        let l2 = i32::from(*ptr0.add(0).cast::<u8>());
                        let result6 = match l2 {
                            0 => None,
                            1 => {
                                let e = {
                                    let l3 = *ptr0.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                    let l4 = *ptr0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                    let len5 = l4;
                                    let bytes5 = _rt::Vec::from_raw_parts(l3.cast(), len5, len5);
                                    _rt::string_lift(bytes5)
                                };
                                Some(e)
                            }
                            _ => _rt::invalid_enum_discriminant(),
                        };
                        result6
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// The media type of the body.
                #[allow(async_fn_in_trait)]
                pub fn content_type(&self) -> ::core::option::Option<_rt::String> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 3 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 3 * ::core::mem::size_of::<*const u8>()]);
                        let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.content-type"]
                            fn wit_import1(_: i32, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0);
                        let l2 = i32::from(*ptr0.add(0).cast::<u8>());
                        let result6 = match l2 {
                            0 => None,
                            1 => {
                                let e = {
                                    let l3 = *ptr0.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                    let l4 = *ptr0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                    let len5 = l4;
                                    let bytes5 = _rt::Vec::from_raw_parts(l3.cast(), len5, len5);
                                    _rt::string_lift(bytes5)
                                };
                                Some(e)
                            }
                            _ => _rt::invalid_enum_discriminant(),
                        };
                        result6
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// Sets the media type of the body.
                #[allow(async_fn_in_trait)]
                pub fn set_content_type(&self, content_type: &str) -> () {
                    unsafe {
                        let vec0 = content_type;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.set-content-type"]
                            fn wit_import1(_: i32, _: *mut u8, _: usize);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8, _: usize) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0.cast_mut(), len0);
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// The body.
                #[allow(async_fn_in_trait)]
                pub fn data(&self) -> _rt::Vec<u8> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 2 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 2 * ::core::mem::size_of::<*const u8>()]);
                        let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.data"]
                            fn wit_import1(_: i32, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0);
                        let l2 = *ptr0.add(0).cast::<*mut u8>();
                        let l3 = *ptr0.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                        let len4 = l3;
                        let result5 = <_ as From<_rt::Vec<_>>>::from(_rt::Vec::from_raw_parts(l2.cast(), len4, len4));
                        result5
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// Replaces the body.
                #[allow(async_fn_in_trait)]
                pub fn set_data(&self, data: &[u8]) -> () {
                    unsafe {
                        let vec0 = data;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.set-data"]
                            fn wit_import1(_: i32, _: *mut u8, _: usize);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8, _: usize) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0.cast_mut(), len0);
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// All metadata, or none where there is none.
                #[allow(async_fn_in_trait)]
                pub fn metadata(&self) -> ::core::option::Option<Metadata> {
                    unsafe {
                        #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                        #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                        struct RetArea([::core::mem::MaybeUninit<u8>; 3 * ::core::mem::size_of::<*const u8>()]);
                        let mut ret_area =
                            RetArea([::core::mem::MaybeUninit::uninit(); 3 * ::core::mem::size_of::<*const u8>()]);
                        let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.metadata"]
                            fn wit_import1(_: i32, _: *mut u8);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0);
                        let l2 = i32::from(*ptr0.add(0).cast::<u8>());
                        let result12 = match l2 {
                            0 => None,
                            1 => {
                                let e = {
                                    let l3 = *ptr0.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                    let l4 = *ptr0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                    let base11 = l3;
                                    let len11 = l4;
                                    let mut result11 = _rt::Vec::with_capacity(len11);
                                    for i in 0..len11 {
                                        let base = base11.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                        let e11 = {
                                            let l5 = *base.add(0).cast::<*mut u8>();
                                            let l6 = *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let len7 = l6;
                                            let bytes7 = _rt::Vec::from_raw_parts(l5.cast(), len7, len7);
                                            let l8 =
                                                *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                            let l9 = *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let len10 = l9;
                                            let bytes10 = _rt::Vec::from_raw_parts(l8.cast(), len10, len10);
                                            (_rt::string_lift(bytes7), _rt::string_lift(bytes10))
                                        };
                                        result11.push(e11);
                                    }
                                    _rt::cabi_dealloc(
                                        base11,
                                        len11 * (4 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    );
                                    result11
                                };
                                Some(e)
                            }
                            _ => _rt::invalid_enum_discriminant(),
                        };
                        result12
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// Adds a pair. The values that the name has already are overwritten.
                #[allow(async_fn_in_trait)]
                pub fn add_metadata(&self, key: &str, value: &str) -> () {
                    unsafe {
                        let vec0 = key;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        let vec1 = value;
                        let ptr1 = vec1.as_ptr().cast::<u8>();
                        let len1 = vec1.len();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.add-metadata"]
                            fn wit_import2(_: i32, _: *mut u8, _: usize, _: *mut u8, _: usize);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import2(_: i32, _: *mut u8, _: usize, _: *mut u8, _: usize) {
                            unreachable!()
                        }
                        wit_import2((self).handle() as i32, ptr0.cast_mut(), len0, ptr1.cast_mut(), len1);
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// Replaces all metadata.
                #[allow(async_fn_in_trait)]
                pub fn set_metadata(&self, meta: &[(_rt::String, _rt::String)]) -> () {
                    unsafe {
                        let vec3 = meta;
                        let len3 = vec3.len();
                        let layout3 = _rt::alloc::Layout::from_size_align(
                            vec3.len() * (4 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        )
                        .unwrap();
                        let (result3, _cleanup3) = wit_bindgen::rt::Cleanup::new(layout3);
                        for (i, e) in vec3.into_iter().enumerate() {
                            let base = result3.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                            {
                                let (t0_0, t0_1) = e;
                                let vec1 = t0_0;
                                let ptr1 = vec1.as_ptr().cast::<u8>();
                                let len1 = vec1.len();
                                *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len1;
                                *base.add(0).cast::<*mut u8>() = ptr1.cast_mut();
                                let vec2 = t0_1;
                                let ptr2 = vec2.as_ptr().cast::<u8>();
                                let len2 = vec2.len();
                                *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len2;
                                *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() = ptr2.cast_mut();
                            }
                        }
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.set-metadata"]
                            fn wit_import4(_: i32, _: *mut u8, _: usize);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import4(_: i32, _: *mut u8, _: usize) {
                            unreachable!()
                        }
                        wit_import4((self).handle() as i32, result3, len3);
                    }
                }
            }
            impl Message {
                #[allow(unused_unsafe, clippy::all)]
                /// Removes every value of a name.
                #[allow(async_fn_in_trait)]
                pub fn remove_metadata(&self, key: &str) -> () {
                    unsafe {
                        let vec0 = key;
                        let ptr0 = vec0.as_ptr().cast::<u8>();
                        let len0 = vec0.len();
                        #[cfg(target_arch = "wasm32")]
                        #[link(wasm_import_module = "wasi:messaging/types@0.2.0-draft")]
                        unsafe extern "C" {
                            #[link_name = "[method]message.remove-metadata"]
                            fn wit_import1(_: i32, _: *mut u8, _: usize);
                        }
                        #[cfg(not(target_arch = "wasm32"))]
                        unsafe extern "C" fn wit_import1(_: i32, _: *mut u8, _: usize) {
                            unreachable!()
                        }
                        wit_import1((self).handle() as i32, ptr0.cast_mut(), len0);
                    }
                }
            }
        }
        /// Sends messages.
        #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
        pub mod producer {
            #[used]
            #[doc(hidden)]
            static __FORCE_SECTION_REF: fn() = super::super::super::__link_custom_section_describing_imports;
            use super::super::super::_rt;
            pub type Client = super::super::super::wasi::messaging::types::Client;
            pub type Error = super::super::super::wasi::messaging::types::Error;
            pub type Message = super::super::super::wasi::messaging::types::Message;
            pub type Topic = super::super::super::wasi::messaging::types::Topic;
            #[allow(unused_unsafe, clippy::all)]
            /// Sends a message. It is ok when the broker has it.
            #[allow(async_fn_in_trait)]
            pub fn send(c: &Client, topic: &str, message: Message) -> ::core::result::Result<(), Error> {
                unsafe {
                    #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                    #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 4 * ::core::mem::size_of::<*const u8>()]);
                    let mut ret_area =
                        RetArea([::core::mem::MaybeUninit::uninit(); 4 * ::core::mem::size_of::<*const u8>()]);
                    let vec0 = topic;
                    let ptr0 = vec0.as_ptr().cast::<u8>();
                    let len0 = vec0.len();
                    let ptr1 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/producer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "send"]
                        fn wit_import2(_: i32, _: *mut u8, _: usize, _: i32, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import2(_: i32, _: *mut u8, _: usize, _: i32, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import2(
                        (c).handle() as i32,
                        ptr0.cast_mut(),
                        len0,
                        (&message).take_handle() as i32,
                        ptr1,
                    );
                    let l3 = i32::from(*ptr1.add(0).cast::<u8>());
                    let result15 = match l3 {
                        0 => {
                            let e = ();
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l4 = i32::from(*ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>());
                                use super::super::super::wasi::messaging::types::Error as V14;
                                let v14 = match l4 {
                                    0 => V14::Timeout,
                                    1 => {
                                        let e14 = {
                                            let l5 =
                                                *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                            let l6 = *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let len7 = l6;
                                            let bytes7 = _rt::Vec::from_raw_parts(l5.cast(), len7, len7);
                                            _rt::string_lift(bytes7)
                                        };
                                        V14::Connection(e14)
                                    }
                                    2 => {
                                        let e14 = {
                                            let l8 =
                                                *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                            let l9 = *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let len10 = l9;
                                            let bytes10 = _rt::Vec::from_raw_parts(l8.cast(), len10, len10);
                                            _rt::string_lift(bytes10)
                                        };
                                        V14::PermissionDenied(e14)
                                    }
                                    n => {
                                        debug_assert_eq!(n, 3, "invalid enum discriminant");
                                        let e14 = {
                                            let l11 =
                                                *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                            let l12 =
                                                *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let len13 = l12;
                                            let bytes13 = _rt::Vec::from_raw_parts(l11.cast(), len13, len13);
                                            _rt::string_lift(bytes13)
                                        };
                                        V14::Other(e14)
                                    }
                                };
                                v14
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result15
                }
            }
        }
    }
}
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod wasi {
        pub mod messaging {
            /// What a component exports to be given messages.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod incoming_handler {
                #[used]
                #[doc(hidden)]
                static __FORCE_SECTION_REF: fn() = super::super::super::super::__link_custom_section_describing_imports;
                use super::super::super::super::_rt;
                pub type Error = super::super::super::super::wasi::messaging::types::Error;
                pub type Message = super::super::super::super::wasi::messaging::types::Message;
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_handle_cabi<T_: Guest>(arg0: i32) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")]
                        _rt::run_ctors_once();
                        let result0 = {
                            T_::handle(
                                super::super::super::super::wasi::messaging::types::Message::from_handle(arg0 as u32),
                            )
                        };
                        let ptr1 = (&raw mut _RET_AREA.0).cast::<u8>();
                        match result0 {
                            Ok(_) => {
                                *ptr1.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            Err(e) => {
                                *ptr1.add(0).cast::<u8>() = (1i32) as u8;
                                use super::super::super::super::wasi::messaging::types::Error as V5;
                                match e {
                                    V5::Timeout => {
                                        *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>() = (0i32) as u8;
                                    }
                                    V5::Connection(e) => {
                                        *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>() = (1i32) as u8;
                                        let vec2 = (e.into_bytes()).into_boxed_slice();
                                        let ptr2 = vec2.as_ptr().cast::<u8>();
                                        let len2 = vec2.len();
                                        ::core::mem::forget(vec2);
                                        *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len2;
                                        *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                            ptr2.cast_mut();
                                    }
                                    V5::PermissionDenied(e) => {
                                        *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>() = (2i32) as u8;
                                        let vec3 = (e.into_bytes()).into_boxed_slice();
                                        let ptr3 = vec3.as_ptr().cast::<u8>();
                                        let len3 = vec3.len();
                                        ::core::mem::forget(vec3);
                                        *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len3;
                                        *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                            ptr3.cast_mut();
                                    }
                                    V5::Other(e) => {
                                        *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>() = (3i32) as u8;
                                        let vec4 = (e.into_bytes()).into_boxed_slice();
                                        let ptr4 = vec4.as_ptr().cast::<u8>();
                                        let len4 = vec4.len();
                                        ::core::mem::forget(vec4);
                                        *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                        *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                            ptr4.cast_mut();
                                    }
                                }
                            }
                        };
                        ptr1
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_handle<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = i32::from(*arg0.add(0).cast::<u8>());
                        match l0 {
                            0 => {}
                            _ => {
                                let l1 = i32::from(*arg0.add(::core::mem::size_of::<*const u8>()).cast::<u8>());
                                match l1 {
                                    0 => {}
                                    1 => {
                                        let l2 = *arg0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                        let l3 = *arg0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        _rt::cabi_dealloc(l2, l3, 1);
                                    }
                                    2 => {
                                        let l4 = *arg0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                        let l5 = *arg0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        _rt::cabi_dealloc(l4, l5, 1);
                                    }
                                    _ => {
                                        let l6 = *arg0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                        let l7 = *arg0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        _rt::cabi_dealloc(l6, l7, 1);
                                    }
                                }
                            }
                        }
                    }
                }
                pub trait Guest {
                    /// Handles one message. The message is taken off its channel only when this returns ok; after an error it comes again,
                    /// as often as the configuration says.
                    #[allow(async_fn_in_trait)]
                    fn handle(message: Message) -> ::core::result::Result<(), Error>;
                }
                #[doc(hidden)]
                macro_rules! __export_wasi_messaging_incoming_handler_0_2_0_draft_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "wasi:messaging/incoming-handler@0.2.0-draft#handle")] unsafe
                        extern "C" fn export_handle(arg0 : i32,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_handle_cabi::<$ty > (arg0) } }
                        #[unsafe (export_name =
                        "cabi_post_wasi:messaging/incoming-handler@0.2.0-draft#handle")]
                        unsafe extern "C" fn _post_return_handle(arg0 : * mut u8,) {
                        unsafe { $($path_to_types)*:: __post_return_handle::<$ty > (arg0)
                        } } };
                    };
                }
                #[doc(hidden)]
                pub(crate) use __export_wasi_messaging_incoming_handler_0_2_0_draft_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea([::core::mem::MaybeUninit<u8>; 4 * ::core::mem::size_of::<*const u8>()]);
                static mut _RET_AREA: _RetArea =
                    _RetArea([::core::mem::MaybeUninit::uninit(); 4 * ::core::mem::size_of::<*const u8>()]);
            }
        }
    }
}
mod _rt {
    #![allow(dead_code, unused_imports, clippy::all)]
    pub use alloc_crate::string::String;
    pub use alloc_crate::vec::Vec;
    use core::fmt;
    use core::marker;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// A type which represents a component model resource, either imported or
    /// exported into this component.
    ///
    /// This is a low-level wrapper which handles the lifetime of the resource
    /// (namely this has a destructor). The `T` provided defines the component model
    /// intrinsics that this wrapper uses.
    ///
    /// One of the chief purposes of this type is to provide `Deref` implementations
    /// to access the underlying data when it is owned.
    ///
    /// This type is primarily used in generated code for exported and imported
    /// resources.
    #[repr(transparent)]
    pub struct Resource<T: WasmResource> {
        handle: AtomicU32,
        _marker: marker::PhantomData<T>,
    }
    /// A trait which all wasm resources implement, namely providing the ability to
    /// drop a resource.
    ///
    /// This generally is implemented by generated code, not user-facing code.
    #[allow(clippy::missing_safety_doc)]
    pub unsafe trait WasmResource {
        /// Invokes the `[resource-drop]...` intrinsic.
        unsafe fn drop(handle: u32);
    }
    impl<T: WasmResource> Resource<T> {
        #[doc(hidden)]
        pub unsafe fn from_handle(handle: u32) -> Self {
            debug_assert!(handle != 0 && handle != u32::MAX);
            Self {
                handle: AtomicU32::new(handle),
                _marker: marker::PhantomData,
            }
        }
        /// Takes ownership of the handle owned by `resource`.
        ///
        /// Note that this ideally would be `into_handle` taking `Resource<T>` by
        /// ownership. The code generator does not enable that in all situations,
        /// unfortunately, so this is provided instead.
        ///
        /// Also note that `take_handle` is in theory only ever called on values
        /// owned by a generated function. For example a generated function might
        /// take `Resource<T>` as an argument but then call `take_handle` on a
        /// reference to that argument. In that sense the dynamic nature of
        /// `take_handle` should only be exposed internally to generated code, not
        /// to user code.
        #[doc(hidden)]
        pub fn take_handle(resource: &Resource<T>) -> u32 {
            resource.handle.swap(u32::MAX, Relaxed)
        }
        #[doc(hidden)]
        pub fn handle(resource: &Resource<T>) -> u32 {
            resource.handle.load(Relaxed)
        }
    }
    impl<T: WasmResource> fmt::Debug for Resource<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Resource").field("handle", &self.handle).finish()
        }
    }
    impl<T: WasmResource> Drop for Resource<T> {
        fn drop(&mut self) {
            unsafe {
                match self.handle.load(Relaxed) {
                    u32::MAX => {}
                    other => T::drop(other),
                }
            }
        }
    }
    pub unsafe fn string_lift(bytes: Vec<u8>) -> String {
        if cfg!(debug_assertions) {
            String::from_utf8(bytes).unwrap()
        } else {
            unsafe { String::from_utf8_unchecked(bytes) }
        }
    }
    pub unsafe fn invalid_enum_discriminant<T>() -> T {
        if cfg!(debug_assertions) {
            panic!("invalid enum discriminant")
        } else {
            unsafe { core::hint::unreachable_unchecked() }
        }
    }
    pub unsafe fn cabi_dealloc(ptr: *mut u8, size: usize, align: usize) {
        if size == 0 {
            return;
        }
        unsafe {
            let layout = alloc::Layout::from_size_align_unchecked(size, align);
            alloc::dealloc(ptr, layout);
        }
    }
    pub use alloc_crate::alloc;
    #[cfg(target_arch = "wasm32")]
    pub fn run_ctors_once() {
        wit_bindgen::rt::run_ctors_once();
    }
    extern crate alloc as alloc_crate;
}
/// Generates `#[unsafe(no_mangle)]` functions to export the specified type as
/// the root implementation of all generated traits.
///
/// For more information see the documentation of `wit_bindgen::generate!`.
///
/// ```rust
/// # macro_rules! export{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
macro_rules! __export_messaging_core_impl {
    ($ty:ident) => {
        self::export!($ty with_types_in self);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::wasi::messaging::incoming_handler::__export_wasi_messaging_incoming_handler_0_2_0_draft_cabi!($ty
        with_types_in $($path_to_types_root)*::
        exports::wasi::messaging::incoming_handler);
    };
}
#[doc(inline)]
pub(crate) use __export_messaging_core_impl as export;
#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "component-type:wit-bindgen:0.61.1:wasi:messaging@0.2.0-draft:messaging-core:encoded world")]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 1239] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xd2\x08\x01A\x02\x01\
A\x0a\x01B+\x01o\x02ss\x01p\0\x04\0\x08metadata\x03\0\x01\x01s\x04\0\x05topic\x03\
\0\x03\x04\0\x06client\x03\x01\x01q\x04\x07timeout\0\0\x0aconnection\x01s\0\x11p\
ermission-denied\x01s\0\x05other\x01s\0\x04\0\x05error\x03\0\x06\x04\0\x07messag\
e\x03\x01\x01i\x05\x01j\x01\x09\x01\x07\x01@\x01\x04names\0\x0a\x04\0\x16[static\
]client.connect\x01\x0b\x01h\x05\x01j\0\x01\x07\x01@\x01\x04self\x0c\0\x0d\x04\0\
\x19[method]client.disconnect\x01\x0e\x01p}\x01i\x08\x01@\x01\x04data\x0f\0\x10\x04\
\0\x14[constructor]message\x01\x11\x01h\x08\x01k\x04\x01@\x01\x04self\x12\0\x13\x04\
\0\x15[method]message.topic\x01\x14\x01ks\x01@\x01\x04self\x12\0\x15\x04\0\x1c[m\
ethod]message.content-type\x01\x16\x01@\x02\x04self\x12\x0ccontent-types\x01\0\x04\
\0\x20[method]message.set-content-type\x01\x17\x01@\x01\x04self\x12\0\x0f\x04\0\x14\
[method]message.data\x01\x18\x01@\x02\x04self\x12\x04data\x0f\x01\0\x04\0\x18[me\
thod]message.set-data\x01\x19\x01k\x02\x01@\x01\x04self\x12\0\x1a\x04\0\x18[meth\
od]message.metadata\x01\x1b\x01@\x03\x04self\x12\x03keys\x05values\x01\0\x04\0\x1c\
[method]message.add-metadata\x01\x1c\x01@\x02\x04self\x12\x04meta\x02\x01\0\x04\0\
\x1c[method]message.set-metadata\x01\x1d\x01@\x02\x04self\x12\x03keys\x01\0\x04\0\
\x1f[method]message.remove-metadata\x01\x1e\x03\0\x20wasi:messaging/types@0.2.0-\
draft\x05\0\x02\x03\0\0\x06client\x02\x03\0\0\x05error\x02\x03\0\0\x07message\x02\
\x03\0\0\x05topic\x01B\x0d\x02\x03\x02\x01\x01\x04\0\x06client\x03\0\0\x02\x03\x02\
\x01\x02\x04\0\x05error\x03\0\x02\x02\x03\x02\x01\x03\x04\0\x07message\x03\0\x04\
\x02\x03\x02\x01\x04\x04\0\x05topic\x03\0\x06\x01h\x01\x01i\x05\x01j\0\x01\x03\x01\
@\x03\x01c\x08\x05topic\x07\x07message\x09\0\x0a\x04\0\x04send\x01\x0b\x03\0#was\
i:messaging/producer@0.2.0-draft\x05\x05\x01B\x08\x02\x03\x02\x01\x02\x04\0\x05e\
rror\x03\0\0\x02\x03\x02\x01\x03\x04\0\x07message\x03\0\x02\x01i\x03\x01j\0\x01\x01\
\x01@\x01\x07message\x04\0\x05\x04\0\x06handle\x01\x06\x04\0+wasi:messaging/inco\
ming-handler@0.2.0-draft\x05\x06\x04\0)wasi:messaging/messaging-core@0.2.0-draft\
\x04\0\x0b\x14\x01\0\x0emessaging-core\x03\0\0\0G\x09producers\x01\x0cprocessed-\
by\x02\x0dwit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
