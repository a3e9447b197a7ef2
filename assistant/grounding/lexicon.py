"""Lists of ordinary words by which names, roles, places and instructions are told apart in read text."""

from __future__ import annotations

ROLE_ENDINGS = ("ologist", "ographer", "ician", "former", "wright", "maker")
ROLES = frozenset(
    """reformer author writer poet novelist playwright painter sculptor artist architect engineer inventor scientist
    physicist chemist biologist mathematician physician doctor surgeon nurse midwife teacher professor lecturer lawyer
    judge barrister solicitor politician statesman minister president senator mayor king queen prince princess duke
    soldier general admiral captain sailor pilot astronaut explorer composer musician singer pianist violinist dancer
    actor actress director producer photographer journalist editor publisher printer philosopher theologian historian
    philanthropist campaigner activist suffragette suffragist pioneer founder banker merchant manager chef cook baker
    butcher gardener farmer designer developer programmer analyst consultant accountant secretary librarian 
    reporter driver guard officer detective economist missionary priest bishop saint nun monk comedian broadcaster
    athlete footballer cricketer swimmer cyclist runner coach trainer mechanic electrician plumber carpenter student
    cashier waiter waitress clerk butler tailor
    诗人 作家 画家 教授 医生 护士 老师 教师 工程师 科学家 经理 主任 律师 记者 司机 校长 总统 主席 演员 歌手 设计师""".split()
)
PLACE_ENDINGS = frozenset(
    """road rd street st avenue ave lane ln square sq boulevard blvd drive dr way highway hwy alley crescent terrace
    court plaza park station bridge airport terminal harbour harbor pier gardens mall
    路 街 道 巷 弄 站 桥 大道 广场 公园 机场 胡同 村 镇""".split()
)
COMPANY_ENDINGS = frozenset(
    """airlines airways airline air ltd limited inc corp corporation gmbh plc llc co company bank hotel group cafe café
    restaurant bakery pharmacy supermarket insurance university college school museum hospital studio studios
    公司 航空 银行 酒店 饭店 宾馆 集团 大学 学院 医院 学校 超市 餐厅 药店 书店 商店 咖啡""".split()
)
IMPERATIVES = frozenset(
    """please enter push pull press stop wait ring call keep do don't mind no turn go slow yield caution danger beware
    warning scan insert remove close shut open knock queue pay take use wash shake store stir add mix follow stand
    sit walk look listen ask show return place put tear twist lift hold click tap swipe sign fill check report
    exit""".split()
)
SIGN_WORDS = (
    "中国 公司 航空 银行 饭店 酒店 宾馆 超市 学校 大学 学院 医院 中心 商店 书店 药店 餐厅 快递 物流 铁路 地铁 车站 机场 广场 公园 "
    "消防 警察 公安 救护 出口 入口 停车 有限 集团 国际 中华 人民 北京 上海 南方 东方 西部 北方 海南 深圳 四川 山东 厦门 重庆 "
    "茶馆 客栈 书院 博物馆 图书馆 电影院"
).split()
"""Words of signs; a line that has one only when read backwards runs from right to left."""

ORDINARY = frozenset(
    """a an and the of for to in on at by with from or not no yes is are was be this that these those all any
    social system software update updating nutrition facts fact gallery please enter total subtotal tax cash change card
    master visa credit debit amount due balance price net weight gross volume best before use sell date time order
    receipt invoice bill table guest server cashier thank thanks you your welcome back again visit come see soon open
    closed close hours daily monday tuesday wednesday thursday friday saturday sunday january february march april june
    july august september october november december mon tue wed thu fri sat sun road rd street st avenue lane square
    park station platform gate exit entrance way out room floor level north south east west left right up down stop go
    push pull slow caution danger warning keep clear fire door hose emergency only staff private parking free wifi new
    fresh organic natural pure original classic premium extra large small medium grande big little hot cold iced sweet
    salted unsalted low high light dark white black red green blue yellow brown pink orange purple grey gray milk tea
    coffee water juice bread butter cheese yoghurt yogurt cream sugar salt flour rice pasta oil honey jam chocolate
    cocoa biscuit cookie cake pie soup sauce salad meat beef pork chicken fish egg apple banana lemon lime berry
    strawberry cherry peach pear grape mango tomato potato onion carrot bean beans nut nuts oat oats corn wheat cereal
    muesli granola crisps chips snack pizza burger taco wrap sandwich meal party pack drink beer wine soda cola supreme
    pepperoni crunchy bar box bag bottle can jar serving servings size per package calories fat saturated trans sodium
    cholesterol carbohydrate protein fibre fiber vitamin calcium iron percent value values diet ingredients contains
    may made product produce produced keep store cool dry place shake well refrigerate after opening
    reformer garden gardens hall cottages cottage army navy air cadets force established pioneered founded born died
    lived here house home office school college university hospital museum library church bank hotel restaurant cafe bar
    shop store market bakery pharmacy company limited ltd inc group international national city town county state
    airlines airways airport flight seat boarding pass passenger train bus ticket single return adult child concession
    hello hi test message handwritten note notes vision cloud platform api text detect demonstrate capabilities google
    press start cancel ok next previous menu settings help home installing preparing loading downloading complete
    error file edit view windows screen power battery charging restart install device preparation automatically user
    name first last address phone email website number code password account id version model serial made item items
    quantity qty unit each sale offer discount save deal special today now soon limited edition collection giveaway
    tablet pc computer laptop phone camera television tv radio sound music video game games book page chapter volume
    part section table figure summer winter spring autumn day night morning evening week month year approval no med
    snack nook amount percent daily trip travel journey service centre center world life love happy birthday
    washing powder liquid soap shampoo cream lotion tablets capsules medicine dose doses keep reach children exp mfg lot
    batch gallery street view hand care baby dog cat food pet paper glass metal plastic wood cotton wool shirt hat cap
    shoes quality choice selection value brand finest golden silver royal grand mini maxi super ultra plus pro max lite
    zero free range whole grain roasted ground smoked dried frozen canned sparkling still spring mineral peppermint mint
    ginger vanilla caramel almond coconut soy espresso latte mocha cappuccino americano breakfast lunch dinner""".split()
)
"""Words that are no one's name, however they are capitalised."""
