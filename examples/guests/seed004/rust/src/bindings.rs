#[allow(dead_code, clippy::all)]
pub mod wasi {
    pub mod messaging {
        /// What messages are, and where they come from and go to.
        #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
        pub mod messaging_types {
            #[used]
            #[doc(hidden)]
            static __FORCE_SECTION_REF: fn() = super::super::super::__link_custom_section_describing_imports;
            use super::super::super::_rt;
            /// A connection that the host keeps. Which broker it leads to is the host's configuration, not the component's.
            pub type Client = u32;
            /// Why something could not be done: a number that stands for a text of the host's.
            pub type Error = u32;
            /// The name of a channel on a broker: a queue, a topic, a subject.
            pub type Channel = _rt::String;
            /// What the component wants to hear.
            #[derive(Clone)]
            pub struct GuestConfiguration {
                /// The channels. The configuration says which ones it may have.
                pub channels: _rt::Vec<Channel>,
                /// The broker's own settings for them: partitions and offsets for Kafka, quality of service for MQTT, and so on.
                pub extensions: ::core::option::Option<_rt::Vec<(_rt::String, _rt::String)>>,
            }
            impl ::core::fmt::Debug for GuestConfiguration {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("GuestConfiguration")
                        .field("channels", &self.channels)
                        .field("extensions", &self.extensions)
                        .finish()
                }
            }
            /// What the names in a message's metadata mean.
            #[repr(u8)]
            #[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
            pub enum FormatSpec {
                Cloudevents,
                Http,
                Amqp,
                Mqtt,
                Kafka,
                Raw,
            }
            impl ::core::fmt::Debug for FormatSpec {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    match self {
                        FormatSpec::Cloudevents => f.debug_tuple("FormatSpec::Cloudevents").finish(),
                        FormatSpec::Http => f.debug_tuple("FormatSpec::Http").finish(),
                        FormatSpec::Amqp => f.debug_tuple("FormatSpec::Amqp").finish(),
                        FormatSpec::Mqtt => f.debug_tuple("FormatSpec::Mqtt").finish(),
                        FormatSpec::Kafka => f.debug_tuple("FormatSpec::Kafka").finish(),
                        FormatSpec::Raw => f.debug_tuple("FormatSpec::Raw").finish(),
                    }
                }
            }
            impl FormatSpec {
                #[doc(hidden)]
                pub unsafe fn _lift(val: u8) -> FormatSpec {
                    if !cfg!(debug_assertions) {
                        return unsafe { ::core::mem::transmute(val) };
                    }
                    match val {
                        0 => FormatSpec::Cloudevents,
                        1 => FormatSpec::Http,
                        2 => FormatSpec::Amqp,
                        3 => FormatSpec::Mqtt,
                        4 => FormatSpec::Kafka,
                        5 => FormatSpec::Raw,
                        _ => panic!("invalid enum discriminant"),
                    }
                }
            }
            /// A message. Each one that is delivered has `channel` in its metadata, and `dragoman-receipt`, which says which delivery it
            /// is: leave it in place for `complete-message` and `abandon-message`. Neither is sent on.
            #[derive(Clone)]
            pub struct Message {
                pub data: _rt::Vec<u8>,
                pub format: FormatSpec,
                pub metadata: ::core::option::Option<_rt::Vec<(_rt::String, _rt::String)>>,
            }
            impl ::core::fmt::Debug for Message {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct("Message")
                        .field("data", &self.data)
                        .field("format", &self.format)
                        .field("metadata", &self.metadata)
                        .finish()
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Gives the client of that name, if the component's configuration grants it.
            #[allow(async_fn_in_trait)]
            pub fn connect(name: &str) -> ::core::result::Result<Client, Error> {
                unsafe {
                    #[repr(align(4))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 8]);
                    let mut ret_area = RetArea([::core::mem::MaybeUninit::uninit(); 8]);
                    let vec0 = name;
                    let ptr0 = vec0.as_ptr().cast::<u8>();
                    let len0 = vec0.len();
                    let ptr1 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/messaging-types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "connect"]
                        fn wit_import2(_: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import2(_: *mut u8, _: usize, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import2(ptr0.cast_mut(), len0, ptr1);
                    let l3 = i32::from(*ptr1.add(0).cast::<u8>());
                    let result6 = match l3 {
                        0 => {
                            let e = {
                                let l4 = *ptr1.add(4).cast::<i32>();
                                l4 as u32
                            };
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l5 = *ptr1.add(4).cast::<i32>();
                                l5 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result6
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Ends the use of a client. The host's connection stays open for others.
            #[allow(async_fn_in_trait)]
            pub fn disconnect(c: Client) -> () {
                unsafe {
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/messaging-types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "disconnect"]
                        fn wit_import0(_: i32);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import0(_: i32) {
                        unreachable!()
                    }
                    wit_import0(_rt::as_i32(c));
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Forgets an error.
            #[allow(async_fn_in_trait)]
            pub fn drop_error(e: Error) -> () {
                unsafe {
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/messaging-types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "drop-error"]
                        fn wit_import0(_: i32);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import0(_: i32) {
                        unreachable!()
                    }
                    wit_import0(_rt::as_i32(e));
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// The text of an error; empty for one that was dropped, or never was.
            #[allow(async_fn_in_trait)]
            pub fn trace(e: Error) -> _rt::String {
                unsafe {
                    #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                    #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 2 * ::core::mem::size_of::<*const u8>()]);
                    let mut ret_area =
                        RetArea([::core::mem::MaybeUninit::uninit(); 2 * ::core::mem::size_of::<*const u8>()]);
                    let ptr0 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/messaging-types@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "trace"]
                        fn wit_import1(_: i32, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import1(_: i32, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import1(_rt::as_i32(e), ptr0);
                    let l2 = *ptr0.add(0).cast::<*mut u8>();
                    let l3 = *ptr0.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                    let len4 = l3;
                    let bytes4 = _rt::Vec::from_raw_parts(l2.cast(), len4, len4);
                    let result5 = _rt::string_lift(bytes4);
                    result5
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
            pub type Channel = super::super::super::wasi::messaging::messaging_types::Channel;
            pub type Client = super::super::super::wasi::messaging::messaging_types::Client;
            pub type Error = super::super::super::wasi::messaging::messaging_types::Error;
            pub type Message = super::super::super::wasi::messaging::messaging_types::Message;
            #[allow(unused_unsafe, clippy::all)]
            /// Sends messages, in order. It is ok when the broker has them all.
            #[allow(async_fn_in_trait)]
            pub fn send(c: Client, ch: &str, m: &[Message]) -> ::core::result::Result<(), Error> {
                unsafe {
                    let mut cleanup_list = _rt::Vec::new();
                    #[repr(align(4))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 8]);
                    let mut ret_area = RetArea([::core::mem::MaybeUninit::uninit(); 8]);
                    let vec0 = ch;
                    let ptr0 = vec0.as_ptr().cast::<u8>();
                    let len0 = vec0.len();
                    let vec7 = m;
                    let len7 = vec7.len();
                    let layout7 = _rt::alloc::Layout::from_size_align(
                        vec7.len() * (6 * ::core::mem::size_of::<*const u8>()),
                        ::core::mem::size_of::<*const u8>(),
                    )
                    .unwrap();
                    let (result7, _cleanup7) = wit_bindgen::rt::Cleanup::new(layout7);
                    for (i, e) in vec7.into_iter().enumerate() {
                        let base = result7.add(i * (6 * ::core::mem::size_of::<*const u8>()));
                        {
                            let super::super::super::wasi::messaging::messaging_types::Message {
                                data: data1,
                                format: format1,
                                metadata: metadata1,
                            } = e;
                            let vec2 = data1;
                            let ptr2 = vec2.as_ptr().cast::<u8>();
                            let len2 = vec2.len();
                            *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len2;
                            *base.add(0).cast::<*mut u8>() = ptr2.cast_mut();
                            *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<u8>() =
                                (format1.clone() as i32) as u8;
                            match metadata1 {
                                Some(e) => {
                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>() = (1i32) as u8;
                                    let vec6 = e;
                                    let len6 = vec6.len();
                                    let layout6 = _rt::alloc::Layout::from_size_align(
                                        vec6.len() * (4 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    )
                                    .unwrap();
                                    let (result6, _cleanup6) = wit_bindgen::rt::Cleanup::new(layout6);
                                    cleanup_list.extend(_cleanup6);
                                    for (i, e) in vec6.into_iter().enumerate() {
                                        let base = result6.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                        {
                                            let (t3_0, t3_1) = e;
                                            let vec4 = t3_0;
                                            let ptr4 = vec4.as_ptr().cast::<u8>();
                                            let len4 = vec4.len();
                                            *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                            *base.add(0).cast::<*mut u8>() = ptr4.cast_mut();
                                            let vec5 = t3_1;
                                            let ptr5 = vec5.as_ptr().cast::<u8>();
                                            let len5 = vec5.len();
                                            *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len5;
                                            *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                                ptr5.cast_mut();
                                        }
                                    }
                                    *base.add(5 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len6;
                                    *base.add(4 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() = result6;
                                }
                                None => {
                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>() = (0i32) as u8;
                                }
                            };
                        }
                    }
                    let ptr8 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/producer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "send"]
                        fn wit_import9(_: i32, _: *mut u8, _: usize, _: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import9(_: i32, _: *mut u8, _: usize, _: *mut u8, _: usize, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import9(_rt::as_i32(c), ptr0.cast_mut(), len0, result7, len7, ptr8);
                    let l10 = i32::from(*ptr8.add(0).cast::<u8>());
                    let result12 = match l10 {
                        0 => {
                            let e = ();
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l11 = *ptr8.add(4).cast::<i32>();
                                l11 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result12
                }
            }
        }
        /// Receives, settles, and chooses what the component hears.
        #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
        pub mod consumer {
            #[used]
            #[doc(hidden)]
            static __FORCE_SECTION_REF: fn() = super::super::super::__link_custom_section_describing_imports;
            use super::super::super::_rt;
            pub type Channel = super::super::super::wasi::messaging::messaging_types::Channel;
            pub type Client = super::super::super::wasi::messaging::messaging_types::Client;
            pub type Error = super::super::super::wasi::messaging::messaging_types::Error;
            pub type GuestConfiguration = super::super::super::wasi::messaging::messaging_types::GuestConfiguration;
            pub type Message = super::super::super::wasi::messaging::messaging_types::Message;
            #[allow(unused_unsafe, clippy::all)]
            /// Subscribes for a while, and waits at most so many milliseconds for messages; none if nothing came.
            #[allow(async_fn_in_trait)]
            pub fn subscribe_try_receive(
                c: Client,
                ch: &str,
                t_milliseconds: u32,
            ) -> ::core::result::Result<::core::option::Option<_rt::Vec<Message>>, Error> {
                unsafe {
                    #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                    #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 4 * ::core::mem::size_of::<*const u8>()]);
                    let mut ret_area =
                        RetArea([::core::mem::MaybeUninit::uninit(); 4 * ::core::mem::size_of::<*const u8>()]);
                    let vec0 = ch;
                    let ptr0 = vec0.as_ptr().cast::<u8>();
                    let len0 = vec0.len();
                    let ptr1 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/consumer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "subscribe-try-receive"]
                        fn wit_import2(_: i32, _: *mut u8, _: usize, _: i32, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import2(_: i32, _: *mut u8, _: usize, _: i32, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import2(
                        _rt::as_i32(c),
                        ptr0.cast_mut(),
                        len0,
                        _rt::as_i32(&t_milliseconds),
                        ptr1,
                    );
                    let l3 = i32::from(*ptr1.add(0).cast::<u8>());
                    let result23 = match l3 {
                        0 => {
                            let e = {
                                let l4 = i32::from(*ptr1.add(::core::mem::size_of::<*const u8>()).cast::<u8>());
                                match l4 {
                                    0 => None,
                                    1 => {
                                        let e = {
                                            let l5 =
                                                *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                            let l6 = *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                            let base21 = l5;
                                            let len21 = l6;
                                            let mut result21 = _rt::Vec::with_capacity(len21);
                                            for i in 0..len21 {
                                                let base = base21.add(i * (6 * ::core::mem::size_of::<*const u8>()));
                                                let e21 = {
                                                    let l7 = *base.add(0).cast::<*mut u8>();
                                                    let l8 =
                                                        *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                    let len9 = l8;
                                                    let l10 = i32::from(
                                                        *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<u8>(),
                                                    );
                                                    let l11 = i32::from(
                                                        *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>(),
                                                    );
                                                    super::super::super::wasi::messaging::messaging_types::Message {
                                                        data: <_ as From<
                                                            _rt::Vec<_>,
                                                        >>::from(_rt::Vec::from_raw_parts(l7.cast(), len9, len9)),
                                                        format: super::super::super::wasi::messaging::messaging_types::FormatSpec::_lift(
                                                            l10 as u8,
                                                        ),
                                                        metadata: match l11 {
                                                            0 => None,
                                                            1 => {
                                                                let e = {
                                                                    let l12 = *base
                                                                        .add(4 * ::core::mem::size_of::<*const u8>())
                                                                        .cast::<*mut u8>();
                                                                    let l13 = *base
                                                                        .add(5 * ::core::mem::size_of::<*const u8>())
                                                                        .cast::<usize>();
                                                                    let base20 = l12;
                                                                    let len20 = l13;
                                                                    let mut result20 = _rt::Vec::with_capacity(len20);
                                                                    for i in 0..len20 {
                                                                        let base = base20
                                                                            .add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                                                        let e20 = {
                                                                            let l14 = *base.add(0).cast::<*mut u8>();
                                                                            let l15 = *base
                                                                                .add(::core::mem::size_of::<*const u8>())
                                                                                .cast::<usize>();
                                                                            let len16 = l15;
                                                                            let bytes16 = _rt::Vec::from_raw_parts(
                                                                                l14.cast(),
                                                                                len16,
                                                                                len16,
                                                                            );
                                                                            let l17 = *base
                                                                                .add(2 * ::core::mem::size_of::<*const u8>())
                                                                                .cast::<*mut u8>();
                                                                            let l18 = *base
                                                                                .add(3 * ::core::mem::size_of::<*const u8>())
                                                                                .cast::<usize>();
                                                                            let len19 = l18;
                                                                            let bytes19 = _rt::Vec::from_raw_parts(
                                                                                l17.cast(),
                                                                                len19,
                                                                                len19,
                                                                            );
                                                                            (_rt::string_lift(bytes16), _rt::string_lift(bytes19))
                                                                        };
                                                                        result20.push(e20);
                                                                    }
                                                                    _rt::cabi_dealloc(
                                                                        base20,
                                                                        len20 * (4 * ::core::mem::size_of::<*const u8>()),
                                                                        ::core::mem::size_of::<*const u8>(),
                                                                    );
                                                                    result20
                                                                };
                                                                Some(e)
                                                            }
                                                            _ => _rt::invalid_enum_discriminant(),
                                                        },
                                                    }
                                                };
                                                result21.push(e21);
                                            }
                                            _rt::cabi_dealloc(
                                                base21,
                                                len21 * (6 * ::core::mem::size_of::<*const u8>()),
                                                ::core::mem::size_of::<*const u8>(),
                                            );
                                            result21
                                        };
                                        Some(e)
                                    }
                                    _ => _rt::invalid_enum_discriminant(),
                                }
                            };
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l22 = *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<i32>();
                                l22 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result23
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Subscribes for a while, and waits for messages. Only the handler's deadline and the end of the host end the waiting
            /// otherwise, with an error.
            #[allow(async_fn_in_trait)]
            pub fn subscribe_receive(c: Client, ch: &str) -> ::core::result::Result<_rt::Vec<Message>, Error> {
                unsafe {
                    #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                    #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 3 * ::core::mem::size_of::<*const u8>()]);
                    let mut ret_area =
                        RetArea([::core::mem::MaybeUninit::uninit(); 3 * ::core::mem::size_of::<*const u8>()]);
                    let vec0 = ch;
                    let ptr0 = vec0.as_ptr().cast::<u8>();
                    let len0 = vec0.len();
                    let ptr1 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/consumer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "subscribe-receive"]
                        fn wit_import2(_: i32, _: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import2(_: i32, _: *mut u8, _: usize, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import2(_rt::as_i32(c), ptr0.cast_mut(), len0, ptr1);
                    let l3 = i32::from(*ptr1.add(0).cast::<u8>());
                    let result22 = match l3 {
                        0 => {
                            let e = {
                                let l4 = *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                let l5 = *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                let base20 = l4;
                                let len20 = l5;
                                let mut result20 = _rt::Vec::with_capacity(len20);
                                for i in 0..len20 {
                                    let base = base20.add(i * (6 * ::core::mem::size_of::<*const u8>()));
                                    let e20 = {
                                        let l6 = *base.add(0).cast::<*mut u8>();
                                        let l7 = *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        let len8 = l7;
                                        let l9 =
                                            i32::from(*base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<u8>());
                                        let l10 =
                                            i32::from(*base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>());
                                        super::super::super::wasi::messaging::messaging_types::Message {
                                            data: <_ as From<_rt::Vec<_>>>::from(_rt::Vec::from_raw_parts(
                                                l6.cast(),
                                                len8,
                                                len8,
                                            )),
                                            format:
                                                super::super::super::wasi::messaging::messaging_types::FormatSpec::_lift(
                                                    l9 as u8,
                                                ),
                                            metadata: match l10 {
                                                0 => None,
                                                1 => {
                                                    let e = {
                                                        let l11 = *base
                                                            .add(4 * ::core::mem::size_of::<*const u8>())
                                                            .cast::<*mut u8>();
                                                        let l12 = *base
                                                            .add(5 * ::core::mem::size_of::<*const u8>())
                                                            .cast::<usize>();
                                                        let base19 = l11;
                                                        let len19 = l12;
                                                        let mut result19 = _rt::Vec::with_capacity(len19);
                                                        for i in 0..len19 {
                                                            let base = base19
                                                                .add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                                            let e19 = {
                                                                let l13 = *base.add(0).cast::<*mut u8>();
                                                                let l14 = *base
                                                                    .add(::core::mem::size_of::<*const u8>())
                                                                    .cast::<usize>();
                                                                let len15 = l14;
                                                                let bytes15 =
                                                                    _rt::Vec::from_raw_parts(l13.cast(), len15, len15);
                                                                let l16 = *base
                                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                                    .cast::<*mut u8>();
                                                                let l17 = *base
                                                                    .add(3 * ::core::mem::size_of::<*const u8>())
                                                                    .cast::<usize>();
                                                                let len18 = l17;
                                                                let bytes18 =
                                                                    _rt::Vec::from_raw_parts(l16.cast(), len18, len18);
                                                                (_rt::string_lift(bytes15), _rt::string_lift(bytes18))
                                                            };
                                                            result19.push(e19);
                                                        }
                                                        _rt::cabi_dealloc(
                                                            base19,
                                                            len19 * (4 * ::core::mem::size_of::<*const u8>()),
                                                            ::core::mem::size_of::<*const u8>(),
                                                        );
                                                        result19
                                                    };
                                                    Some(e)
                                                }
                                                _ => _rt::invalid_enum_discriminant(),
                                            },
                                        }
                                    };
                                    result20.push(e20);
                                }
                                _rt::cabi_dealloc(
                                    base20,
                                    len20 * (6 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                );
                                result20
                            };
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l21 = *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<i32>();
                                l21 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result22
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Replaces what the component hears: unsubscribes from what is gone, subscribes to what is new, opens anew what has other
            /// extensions. What was received already is still handled.
            #[allow(async_fn_in_trait)]
            pub fn update_guest_configuration(gc: &GuestConfiguration) -> ::core::result::Result<(), Error> {
                unsafe {
                    let mut cleanup_list = _rt::Vec::new();
                    #[repr(align(4))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 8]);
                    let mut ret_area = RetArea([::core::mem::MaybeUninit::uninit(); 8]);
                    let super::super::super::wasi::messaging::messaging_types::GuestConfiguration {
                        channels: channels0,
                        extensions: extensions0,
                    } = gc;
                    let vec2 = channels0;
                    let len2 = vec2.len();
                    let layout2 = _rt::alloc::Layout::from_size_align(
                        vec2.len() * (2 * ::core::mem::size_of::<*const u8>()),
                        ::core::mem::size_of::<*const u8>(),
                    )
                    .unwrap();
                    let (result2, _cleanup2) = wit_bindgen::rt::Cleanup::new(layout2);
                    for (i, e) in vec2.into_iter().enumerate() {
                        let base = result2.add(i * (2 * ::core::mem::size_of::<*const u8>()));
                        {
                            let vec1 = e;
                            let ptr1 = vec1.as_ptr().cast::<u8>();
                            let len1 = vec1.len();
                            *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len1;
                            *base.add(0).cast::<*mut u8>() = ptr1.cast_mut();
                        }
                    }
                    let (result7_0, result7_1, result7_2) = match extensions0 {
                        Some(e) => {
                            let vec6 = e;
                            let len6 = vec6.len();
                            let layout6 = _rt::alloc::Layout::from_size_align(
                                vec6.len() * (4 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                            let (result6, _cleanup6) = wit_bindgen::rt::Cleanup::new(layout6);
                            cleanup_list.extend(_cleanup6);
                            for (i, e) in vec6.into_iter().enumerate() {
                                let base = result6.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                {
                                    let (t3_0, t3_1) = e;
                                    let vec4 = t3_0;
                                    let ptr4 = vec4.as_ptr().cast::<u8>();
                                    let len4 = vec4.len();
                                    *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                    *base.add(0).cast::<*mut u8>() = ptr4.cast_mut();
                                    let vec5 = t3_1;
                                    let ptr5 = vec5.as_ptr().cast::<u8>();
                                    let len5 = vec5.len();
                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len5;
                                    *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                        ptr5.cast_mut();
                                }
                            }
                            (1i32, result6, len6)
                        }
                        None => (0i32, ::core::ptr::null_mut(), 0usize),
                    };
                    let ptr8 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/consumer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "update-guest-configuration"]
                        fn wit_import9(_: *mut u8, _: usize, _: i32, _: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import9(_: *mut u8, _: usize, _: i32, _: *mut u8, _: usize, _: *mut u8) {
                        unreachable!()
                    }
                    wit_import9(result2, len2, result7_0, result7_1, result7_2, ptr8);
                    let l10 = i32::from(*ptr8.add(0).cast::<u8>());
                    let result12 = match l10 {
                        0 => {
                            let e = ();
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l11 = *ptr8.add(4).cast::<i32>();
                                l11 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result12
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Accepts a message now, whatever becomes of this call: the broker may forget it.
            #[allow(async_fn_in_trait)]
            pub fn complete_message(m: &Message) -> ::core::result::Result<(), Error> {
                unsafe {
                    let mut cleanup_list = _rt::Vec::new();
                    #[repr(align(4))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 8]);
                    let mut ret_area = RetArea([::core::mem::MaybeUninit::uninit(); 8]);
                    let super::super::super::wasi::messaging::messaging_types::Message {
                        data: data0,
                        format: format0,
                        metadata: metadata0,
                    } = m;
                    let vec1 = data0;
                    let ptr1 = vec1.as_ptr().cast::<u8>();
                    let len1 = vec1.len();
                    let (result6_0, result6_1, result6_2) = match metadata0 {
                        Some(e) => {
                            let vec5 = e;
                            let len5 = vec5.len();
                            let layout5 = _rt::alloc::Layout::from_size_align(
                                vec5.len() * (4 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                            let (result5, _cleanup5) = wit_bindgen::rt::Cleanup::new(layout5);
                            cleanup_list.extend(_cleanup5);
                            for (i, e) in vec5.into_iter().enumerate() {
                                let base = result5.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                {
                                    let (t2_0, t2_1) = e;
                                    let vec3 = t2_0;
                                    let ptr3 = vec3.as_ptr().cast::<u8>();
                                    let len3 = vec3.len();
                                    *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len3;
                                    *base.add(0).cast::<*mut u8>() = ptr3.cast_mut();
                                    let vec4 = t2_1;
                                    let ptr4 = vec4.as_ptr().cast::<u8>();
                                    let len4 = vec4.len();
                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                    *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                        ptr4.cast_mut();
                                }
                            }
                            (1i32, result5, len5)
                        }
                        None => (0i32, ::core::ptr::null_mut(), 0usize),
                    };
                    let ptr7 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/consumer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "complete-message"]
                        fn wit_import8(_: *mut u8, _: usize, _: i32, _: i32, _: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import8(
                        _: *mut u8,
                        _: usize,
                        _: i32,
                        _: i32,
                        _: *mut u8,
                        _: usize,
                        _: *mut u8,
                    ) {
                        unreachable!()
                    }
                    wit_import8(
                        ptr1.cast_mut(),
                        len1,
                        format0.clone() as i32,
                        result6_0,
                        result6_1,
                        result6_2,
                        ptr7,
                    );
                    let l9 = i32::from(*ptr7.add(0).cast::<u8>());
                    let result11 = match l9 {
                        0 => {
                            let e = ();
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l10 = *ptr7.add(4).cast::<i32>();
                                l10 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result11
                }
            }
            #[allow(unused_unsafe, clippy::all)]
            /// Rejects a message now. What becomes of it the configuration says: another try, a dead letter, or nothing.
            #[allow(async_fn_in_trait)]
            pub fn abandon_message(m: &Message) -> ::core::result::Result<(), Error> {
                unsafe {
                    let mut cleanup_list = _rt::Vec::new();
                    #[repr(align(4))]
                    struct RetArea([::core::mem::MaybeUninit<u8>; 8]);
                    let mut ret_area = RetArea([::core::mem::MaybeUninit::uninit(); 8]);
                    let super::super::super::wasi::messaging::messaging_types::Message {
                        data: data0,
                        format: format0,
                        metadata: metadata0,
                    } = m;
                    let vec1 = data0;
                    let ptr1 = vec1.as_ptr().cast::<u8>();
                    let len1 = vec1.len();
                    let (result6_0, result6_1, result6_2) = match metadata0 {
                        Some(e) => {
                            let vec5 = e;
                            let len5 = vec5.len();
                            let layout5 = _rt::alloc::Layout::from_size_align(
                                vec5.len() * (4 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                            let (result5, _cleanup5) = wit_bindgen::rt::Cleanup::new(layout5);
                            cleanup_list.extend(_cleanup5);
                            for (i, e) in vec5.into_iter().enumerate() {
                                let base = result5.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                {
                                    let (t2_0, t2_1) = e;
                                    let vec3 = t2_0;
                                    let ptr3 = vec3.as_ptr().cast::<u8>();
                                    let len3 = vec3.len();
                                    *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len3;
                                    *base.add(0).cast::<*mut u8>() = ptr3.cast_mut();
                                    let vec4 = t2_1;
                                    let ptr4 = vec4.as_ptr().cast::<u8>();
                                    let len4 = vec4.len();
                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                    *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                        ptr4.cast_mut();
                                }
                            }
                            (1i32, result5, len5)
                        }
                        None => (0i32, ::core::ptr::null_mut(), 0usize),
                    };
                    let ptr7 = ret_area.0.as_mut_ptr().cast::<u8>();
                    #[cfg(target_arch = "wasm32")]
                    #[link(wasm_import_module = "wasi:messaging/consumer@0.2.0-draft")]
                    unsafe extern "C" {
                        #[link_name = "abandon-message"]
                        fn wit_import8(_: *mut u8, _: usize, _: i32, _: i32, _: *mut u8, _: usize, _: *mut u8);
                    }
                    #[cfg(not(target_arch = "wasm32"))]
                    unsafe extern "C" fn wit_import8(
                        _: *mut u8,
                        _: usize,
                        _: i32,
                        _: i32,
                        _: *mut u8,
                        _: usize,
                        _: *mut u8,
                    ) {
                        unreachable!()
                    }
                    wit_import8(
                        ptr1.cast_mut(),
                        len1,
                        format0.clone() as i32,
                        result6_0,
                        result6_1,
                        result6_2,
                        ptr7,
                    );
                    let l9 = i32::from(*ptr7.add(0).cast::<u8>());
                    let result11 = match l9 {
                        0 => {
                            let e = ();
                            Ok(e)
                        }
                        1 => {
                            let e = {
                                let l10 = *ptr7.add(4).cast::<i32>();
                                l10 as u32
                            };
                            Err(e)
                        }
                        _ => _rt::invalid_enum_discriminant(),
                    };
                    result11
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
            pub mod messaging_guest {
                #[used]
                #[doc(hidden)]
                static __FORCE_SECTION_REF: fn() = super::super::super::super::__link_custom_section_describing_imports;
                use super::super::super::super::_rt;
                pub type Error = super::super::super::super::wasi::messaging::messaging_types::Error;
                pub type GuestConfiguration =
                    super::super::super::super::wasi::messaging::messaging_types::GuestConfiguration;
                pub type Message = super::super::super::super::wasi::messaging::messaging_types::Message;
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_configure_cabi<T_: Guest>() -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")]
                        _rt::run_ctors_once();
                        let result0 = { T_::configure() };
                        let ptr1 = (&raw mut _RET_AREA.0).cast::<u8>();
                        match result0 {
                            Ok(e) => {
                                *ptr1.add(0).cast::<u8>() = (0i32) as u8;
                                let super::super::super::super::wasi::messaging::messaging_types::GuestConfiguration {
                                    channels: channels2,
                                    extensions: extensions2,
                                } = e;
                                let vec4 = channels2;
                                let len4 = vec4.len();
                                let layout4 = _rt::alloc::Layout::from_size_align(
                                    vec4.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                )
                                .unwrap();
                                let (result4, _cleanup4) = wit_bindgen::rt::Cleanup::new(layout4);
                                if let Some(cleanup) = _cleanup4 {
                                    cleanup.forget();
                                }
                                for (i, e) in vec4.into_iter().enumerate() {
                                    let base = result4.add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let vec3 = (e.into_bytes()).into_boxed_slice();
                                        let ptr3 = vec3.as_ptr().cast::<u8>();
                                        let len3 = vec3.len();
                                        ::core::mem::forget(vec3);
                                        *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len3;
                                        *base.add(0).cast::<*mut u8>() = ptr3.cast_mut();
                                    }
                                }
                                *ptr1.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len4;
                                *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>() = result4;
                                match extensions2 {
                                    Some(e) => {
                                        *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>() = (1i32) as u8;
                                        let vec8 = e;
                                        let len8 = vec8.len();
                                        let layout8 = _rt::alloc::Layout::from_size_align(
                                            vec8.len() * (4 * ::core::mem::size_of::<*const u8>()),
                                            ::core::mem::size_of::<*const u8>(),
                                        )
                                        .unwrap();
                                        let (result8, _cleanup8) = wit_bindgen::rt::Cleanup::new(layout8);
                                        if let Some(cleanup) = _cleanup8 {
                                            cleanup.forget();
                                        }
                                        for (i, e) in vec8.into_iter().enumerate() {
                                            let base = result8.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                            {
                                                let (t5_0, t5_1) = e;
                                                let vec6 = (t5_0.into_bytes()).into_boxed_slice();
                                                let ptr6 = vec6.as_ptr().cast::<u8>();
                                                let len6 = vec6.len();
                                                ::core::mem::forget(vec6);
                                                *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len6;
                                                *base.add(0).cast::<*mut u8>() = ptr6.cast_mut();
                                                let vec7 = (t5_1.into_bytes()).into_boxed_slice();
                                                let ptr7 = vec7.as_ptr().cast::<u8>();
                                                let len7 = vec7.len();
                                                ::core::mem::forget(vec7);
                                                *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>() =
                                                    len7;
                                                *base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() =
                                                    ptr7.cast_mut();
                                            }
                                        }
                                        *ptr1.add(5 * ::core::mem::size_of::<*const u8>()).cast::<usize>() = len8;
                                        *ptr1.add(4 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>() = result8;
                                    }
                                    None => {
                                        *ptr1.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>() = (0i32) as u8;
                                    }
                                };
                            }
                            Err(e) => {
                                *ptr1.add(0).cast::<u8>() = (1i32) as u8;
                                *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<i32>() = _rt::as_i32(e);
                            }
                        };
                        ptr1
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_configure<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = i32::from(*arg0.add(0).cast::<u8>());
                        match l0 {
                            0 => {
                                let l1 = *arg0.add(::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                let l2 = *arg0.add(2 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                let base5 = l1;
                                let len5 = l2;
                                for i in 0..len5 {
                                    let base = base5.add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let l3 = *base.add(0).cast::<*mut u8>();
                                        let l4 = *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        _rt::cabi_dealloc(l3, l4, 1);
                                    }
                                }
                                _rt::cabi_dealloc(
                                    base5,
                                    len5 * (2 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                );
                                let l6 = i32::from(*arg0.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>());
                                match l6 {
                                    0 => {}
                                    _ => {
                                        let l7 = *arg0.add(4 * ::core::mem::size_of::<*const u8>()).cast::<*mut u8>();
                                        let l8 = *arg0.add(5 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                        let base13 = l7;
                                        let len13 = l8;
                                        for i in 0..len13 {
                                            let base = base13.add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                            {
                                                let l9 = *base.add(0).cast::<*mut u8>();
                                                let l10 =
                                                    *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                _rt::cabi_dealloc(l9, l10, 1);
                                                let l11 = *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l12 =
                                                    *base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<usize>();
                                                _rt::cabi_dealloc(l11, l12, 1);
                                            }
                                        }
                                        _rt::cabi_dealloc(
                                            base13,
                                            len13 * (4 * ::core::mem::size_of::<*const u8>()),
                                            ::core::mem::size_of::<*const u8>(),
                                        );
                                    }
                                }
                            }
                            _ => {}
                        }
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_handler_cabi<T_: Guest>(arg0: *mut u8, arg1: usize) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")]
                        _rt::run_ctors_once();
                        let result15 = {
                            let base14 = arg0;
                            let len14 = arg1;
                            let mut result14 = _rt::Vec::with_capacity(len14);
                            for i in 0..len14 {
                                let base = base14.add(i * (6 * ::core::mem::size_of::<*const u8>()));
                                let e14 = {
                                    let l0 = *base.add(0).cast::<*mut u8>();
                                    let l1 = *base.add(::core::mem::size_of::<*const u8>()).cast::<usize>();
                                    let len2 = l1;
                                    let l3 = i32::from(*base.add(2 * ::core::mem::size_of::<*const u8>()).cast::<u8>());
                                    let l4 = i32::from(*base.add(3 * ::core::mem::size_of::<*const u8>()).cast::<u8>());
                                    super::super::super::super::wasi::messaging::messaging_types::Message {
                                        data: <_ as From<
                                            _rt::Vec<_>,
                                        >>::from(_rt::Vec::from_raw_parts(l0.cast(), len2, len2)),
                                        format: super::super::super::super::wasi::messaging::messaging_types::FormatSpec::_lift(
                                            l3 as u8,
                                        ),
                                        metadata: match l4 {
                                            0 => None,
                                            1 => {
                                                let e = {
                                                    let l5 = *base
                                                        .add(4 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<*mut u8>();
                                                    let l6 = *base
                                                        .add(5 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<usize>();
                                                    let base13 = l5;
                                                    let len13 = l6;
                                                    let mut result13 = _rt::Vec::with_capacity(len13);
                                                    for i in 0..len13 {
                                                        let base = base13
                                                            .add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                                        let e13 = {
                                                            let l7 = *base.add(0).cast::<*mut u8>();
                                                            let l8 = *base
                                                                .add(::core::mem::size_of::<*const u8>())
                                                                .cast::<usize>();
                                                            let len9 = l8;
                                                            let bytes9 = _rt::Vec::from_raw_parts(
                                                                l7.cast(),
                                                                len9,
                                                                len9,
                                                            );
                                                            let l10 = *base
                                                                .add(2 * ::core::mem::size_of::<*const u8>())
                                                                .cast::<*mut u8>();
                                                            let l11 = *base
                                                                .add(3 * ::core::mem::size_of::<*const u8>())
                                                                .cast::<usize>();
                                                            let len12 = l11;
                                                            let bytes12 = _rt::Vec::from_raw_parts(
                                                                l10.cast(),
                                                                len12,
                                                                len12,
                                                            );
                                                            (_rt::string_lift(bytes9), _rt::string_lift(bytes12))
                                                        };
                                                        result13.push(e13);
                                                    }
                                                    _rt::cabi_dealloc(
                                                        base13,
                                                        len13 * (4 * ::core::mem::size_of::<*const u8>()),
                                                        ::core::mem::size_of::<*const u8>(),
                                                    );
                                                    result13
                                                };
                                                Some(e)
                                            }
                                            _ => _rt::invalid_enum_discriminant(),
                                        },
                                    }
                                };
                                result14.push(e14);
                            }
                            _rt::cabi_dealloc(
                                base14,
                                len14 * (6 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            T_::handler(result14)
                        };
                        let ptr16 = (&raw mut _RET_AREA.0).cast::<u8>();
                        match result15 {
                            Ok(_) => {
                                *ptr16.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            Err(e) => {
                                *ptr16.add(0).cast::<u8>() = (1i32) as u8;
                                *ptr16.add(4).cast::<i32>() = _rt::as_i32(e);
                            }
                        };
                        ptr16
                    }
                }
                pub trait Guest {
                    /// What the component wants to hear. It is asked once, at start, in an instance of its own.
                    #[allow(async_fn_in_trait)]
                    fn configure() -> ::core::result::Result<GuestConfiguration, Error>;
                    /// Handles messages, all of one client. When this returns ok, each one that was not completed or abandoned is
                    /// accepted; after an error those come again, as often as the configuration says.
                    #[allow(async_fn_in_trait)]
                    fn handler(ms: _rt::Vec<Message>) -> ::core::result::Result<(), Error>;
                }
                #[doc(hidden)]
                macro_rules! __export_wasi_messaging_messaging_guest_0_2_0_draft_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "wasi:messaging/messaging-guest@0.2.0-draft#configure")] unsafe
                        extern "C" fn export_configure() -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_configure_cabi::<$ty > () } }
                        #[unsafe (export_name =
                        "cabi_post_wasi:messaging/messaging-guest@0.2.0-draft#configure")]
                        unsafe extern "C" fn _post_return_configure(arg0 : * mut u8,) {
                        unsafe { $($path_to_types)*:: __post_return_configure::<$ty >
                        (arg0) } } #[unsafe (export_name =
                        "wasi:messaging/messaging-guest@0.2.0-draft#handler")] unsafe
                        extern "C" fn export_handler(arg0 : * mut u8, arg1 : usize,) -> *
                        mut u8 { unsafe { $($path_to_types)*:: _export_handler_cabi::<$ty
                        > (arg0, arg1) } } };
                    };
                }
                #[doc(hidden)]
                pub(crate) use __export_wasi_messaging_messaging_guest_0_2_0_draft_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea([::core::mem::MaybeUninit<u8>; 6 * ::core::mem::size_of::<*const u8>()]);
                static mut _RET_AREA: _RetArea =
                    _RetArea([::core::mem::MaybeUninit::uninit(); 6 * ::core::mem::size_of::<*const u8>()]);
            }
        }
    }
}
mod _rt {
    #![allow(dead_code, unused_imports, clippy::all)]
    pub use alloc_crate::string::String;
    pub use alloc_crate::vec::Vec;
    pub unsafe fn invalid_enum_discriminant<T>() -> T {
        if cfg!(debug_assertions) {
            panic!("invalid enum discriminant")
        } else {
            unsafe { core::hint::unreachable_unchecked() }
        }
    }
    pub fn as_i32<T: AsI32>(t: T) -> i32 {
        t.as_i32()
    }
    pub trait AsI32 {
        fn as_i32(self) -> i32;
    }
    impl<'a, T: Copy + AsI32> AsI32 for &'a T {
        fn as_i32(self) -> i32 {
            (*self).as_i32()
        }
    }
    impl AsI32 for i32 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for u32 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for i16 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for u16 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for i8 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for u8 {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for char {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    impl AsI32 for usize {
        #[inline]
        fn as_i32(self) -> i32 {
            self as i32
        }
    }
    pub unsafe fn string_lift(bytes: Vec<u8>) -> String {
        if cfg!(debug_assertions) {
            String::from_utf8(bytes).unwrap()
        } else {
            unsafe { String::from_utf8_unchecked(bytes) }
        }
    }
    pub use alloc_crate::alloc;
    pub unsafe fn cabi_dealloc(ptr: *mut u8, size: usize, align: usize) {
        if size == 0 {
            return;
        }
        unsafe {
            let layout = alloc::Layout::from_size_align_unchecked(size, align);
            alloc::dealloc(ptr, layout);
        }
    }
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
macro_rules! __export_messaging_impl {
    ($ty:ident) => {
        self::export!($ty with_types_in self);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::wasi::messaging::messaging_guest::__export_wasi_messaging_messaging_guest_0_2_0_draft_cabi!($ty
        with_types_in $($path_to_types_root)*::
        exports::wasi::messaging::messaging_guest);
    };
}
#[doc(inline)]
pub(crate) use __export_messaging_impl as export;
#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "component-type:wit-bindgen:0.61.1:wasi:messaging@0.2.0-draft:messaging:encoded world")]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 1247] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xdf\x08\x01A\x02\x01\
A\x0d\x01B\x1a\x01y\x04\0\x06client\x03\0\0\x01y\x04\0\x05error\x03\0\x02\x01s\x04\
\0\x07channel\x03\0\x04\x01p\x05\x01o\x02ss\x01p\x07\x01k\x08\x01r\x02\x08channe\
ls\x06\x0aextensions\x09\x04\0\x13guest-configuration\x03\0\x0a\x01m\x06\x0bclou\
devents\x04http\x04amqp\x04mqtt\x05kafka\x03raw\x04\0\x0bformat-spec\x03\0\x0c\x01\
p}\x01r\x03\x04data\x0e\x06format\x0d\x08metadata\x09\x04\0\x07message\x03\0\x0f\
\x01j\x01\x01\x01\x03\x01@\x01\x04names\0\x11\x04\0\x07connect\x01\x12\x01@\x01\x01\
c\x01\x01\0\x04\0\x0adisconnect\x01\x13\x01@\x01\x01e\x03\x01\0\x04\0\x0adrop-er\
ror\x01\x14\x01@\x01\x01e\x03\0s\x04\0\x05trace\x01\x15\x03\0*wasi:messaging/mes\
saging-types@0.2.0-draft\x05\0\x02\x03\0\0\x07channel\x02\x03\0\0\x06client\x02\x03\
\0\0\x05error\x02\x03\0\0\x07message\x01B\x0c\x02\x03\x02\x01\x01\x04\0\x07chann\
el\x03\0\0\x02\x03\x02\x01\x02\x04\0\x06client\x03\0\x02\x02\x03\x02\x01\x03\x04\
\0\x05error\x03\0\x04\x02\x03\x02\x01\x04\x04\0\x07message\x03\0\x06\x01p\x07\x01\
j\0\x01\x05\x01@\x03\x01c\x03\x02ch\x01\x01m\x08\0\x09\x04\0\x04send\x01\x0a\x03\
\0#wasi:messaging/producer@0.2.0-draft\x05\x05\x02\x03\0\0\x13guest-configuratio\
n\x01B\x18\x02\x03\x02\x01\x01\x04\0\x07channel\x03\0\0\x02\x03\x02\x01\x02\x04\0\
\x06client\x03\0\x02\x02\x03\x02\x01\x03\x04\0\x05error\x03\0\x04\x02\x03\x02\x01\
\x06\x04\0\x13guest-configuration\x03\0\x06\x02\x03\x02\x01\x04\x04\0\x07message\
\x03\0\x08\x01p\x09\x01k\x0a\x01j\x01\x0b\x01\x05\x01@\x03\x01c\x03\x02ch\x01\x0e\
t-millisecondsy\0\x0c\x04\0\x15subscribe-try-receive\x01\x0d\x01j\x01\x0a\x01\x05\
\x01@\x02\x01c\x03\x02ch\x01\0\x0e\x04\0\x11subscribe-receive\x01\x0f\x01j\0\x01\
\x05\x01@\x01\x02gc\x07\0\x10\x04\0\x1aupdate-guest-configuration\x01\x11\x01@\x01\
\x01m\x09\0\x10\x04\0\x10complete-message\x01\x12\x04\0\x0fabandon-message\x01\x12\
\x03\0#wasi:messaging/consumer@0.2.0-draft\x05\x07\x01B\x0d\x02\x03\x02\x01\x03\x04\
\0\x05error\x03\0\0\x02\x03\x02\x01\x06\x04\0\x13guest-configuration\x03\0\x02\x02\
\x03\x02\x01\x04\x04\0\x07message\x03\0\x04\x01j\x01\x03\x01\x01\x01@\0\0\x06\x04\
\0\x09configure\x01\x07\x01p\x05\x01j\0\x01\x01\x01@\x01\x02ms\x08\0\x09\x04\0\x07\
handler\x01\x0a\x04\0*wasi:messaging/messaging-guest@0.2.0-draft\x05\x08\x04\0$w\
asi:messaging/messaging@0.2.0-draft\x04\0\x0b\x0f\x01\0\x09messaging\x03\0\0\0G\x09\
producers\x01\x0cprocessed-by\x02\x0dwit-component\x070.258.3\x10wit-bindgen-rus\
t\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
