/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of tests/support/records.h. The bytes were not made by this program: they come from
 * Python's protobuf, by json_format.ParseDict and SerializeToString of the JSON beside them.
 */
#include "tests/support/records.h"

const struct test_record test_records[TEST_RECORD_COUNT] = {
    [TEST_RECORD_PRICES] = {
        PL_TOPIC_PRICES, "ETH",
        "{'instrument':'ETH','source':'kraken','price':{'mantissa':'251234','exponent':-2},"
        "'confidence':{'mantissa':'50','exponent':-2},'bid':{'mantissa':'251200','exponent':-2},"
        "'ask':{'mantissa':'251300','exponent':-2},'event_time_ms':'1621432800000',"
        "'source_sequence':'77','depth':{'mantissa':'5','exponent':6}}",
        "0a0345544812066b72616b656e1a0608c4d51e10032204086410032a060880d51e1003320608c8d61e100338"
        "80a6b4a7982f404d4a04080a100c" },
    [TEST_RECORD_POSITIONS] = {
        PL_TOPIC_POSITIONS, "alice",
        "{'account':'alice','source':'venue-1','sequence':'42','previous_sequence':'41',"
        "'kind':'KIND_DELTA','chain':'ethereum','block_height':'12465000',"
        "'event_time_ms':'1621432800000','legs':[{'instrument':'ETH',"
        "'quantity':{'mantissa':'-1500000000000000000','exponent':-18}},{'instrument':'BTC-PERP',"
        "'quantity':{'mantissa':'25','exponent':-1},'cost':{'mantissa':'-98000','exponent':0}}],"
        "'cash':{'mantissa':'-1234567','exponent':-2},"
        "'applied':[{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4',"
        "'cumulative_quantity':{'mantissa':'15','exponent':-1}}]}",
        "0a05616c696365120776656e75652d31182a202928023208657468657265756d38e8e6f8054080a6b4a7982f"
        "4a1f0a0345544812180a142d3135303030303030303030303030303030303010234a1e0a084254432d504552"
        "5012060a02323510011a0a0a062d39383030301000520c0a082d3132333435363710035a2e0a243634303538"
        "6665622d353038332d386337632d393231652d35383963393734656662623412060a0231351001" },
    [TEST_RECORD_MARKS] = {
        PL_TOPIC_MARKS, "ETH",
        "{'instrument':'ETH','source_offset':'9001','source_partition':3,'tick':'12',"
        "'status':'STATUS_LIVE','price':{'mantissa':'251234','exponent':-2},"
        "'low':{'mantissa':'251100','exponent':-2},'high':{'mantissa':'251400','exponent':-2},"
        "'event_time_ms':'1621432800000','source_count':3,'volatility_fast_ppm':91000,"
        "'volatility_slow_ppm':64000}",
        "0a0345544810a9461806200c2801320608c4d51e10033a0608b8d31e100342060890d81e10034880a6b4a798"
        "2f500358f8c6056080f403" },
    [TEST_RECORD_HOLDINGS] = {
        PL_TOPIC_HOLDINGS, "alice",
        "{'account':'alice','version':'7','positions_offset':'1234',"
        "'legs':[{'instrument':'BTC-PERP','source':'venue-1','quantity':{'mantissa':'25',"
        "'exponent':-1},'cost':{'mantissa':'98000','exponent':0},'lots':'2500',"
        "'settled_lots':'2500','lot_decimals':3},{'instrument':'ETH','source':'chain-1',"
        "'quantity':{'mantissa':'-1500000000000000000','exponent':-18},'lots':'-150000',"
        "'settled_lots':'-100000','lot_decimals':5,'unfinalised':[{'sequence':'41',"
        "'block_height':'100','quantity':{'mantissa':'-3','exponent':-1}},{'sequence':'42',"
        "'block_height':'101','quantity':{'mantissa':'-2','exponent':-1},'cost':{'mantissa':'5',"
        "'exponent':-1},'mended_gap':true}]},{'instrument':'SHIB','source':'chain-1',"
        "'quantity':{'mantissa':'170141183460469231731687303715884105727','exponent':-18}}],"
        "'sources':[{'source':'venue-1','sequence':'9','event_time_ms':'1621432800000',"
        "'continuity':'CONTINUITY_COMPLETE','cash':{'mantissa':'-1234567','exponent':-2},"
        "'settlement':'SETTLEMENT_APPLIED'},{'source':'chain-1','chain':'ethereum',"
        "'sequence':'42','event_time_ms':'1621432800001','continuity':'CONTINUITY_GAP',"
        "'unfinalised_cash':[{'sequence':'41','block_height':'100','cash':{'mantissa':'7',"
        "'exponent':0},'mended_gap':true}],'settlement':'SETTLEMENT_BY_TIME'}],"
        "'applied':[{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4',"
        "'cumulative_quantity':{'mantissa':'15','exponent':-1}}],'written_ms':'1621432800002'}",
        "0a05616c696365100718d209222e0a084254432d50455250120776656e75652d311a060a023235100122090a"
        "0539383030301000288827308827380322570a034554481207636861696e2d311a180a142d31353030303030"
        "303030303030303030303030102328dfa71230bf9a0c3805420c082910641a060a022d3310014215082a1065"
        "1a060a022d32100122050a013510012801223c0a04534849421207636861696e2d311a2b0a27313730313431"
        "31383334363034363932333137333136383733303337313538383431303537323710232a240a0776656e7565"
        "2d3118092080a6b4a7982f2801320c0a082d31323334353637100340012a2f0a07636861696e2d3112086574"
        "68657265756d182a2081a6b4a7982f28023a0d082910641a050a0137100020014002322e0a24363430353866"
        "65622d353038332d386337632d393231652d35383963393734656662623412060a02313510013882a6b4a798"
        "2f" },
    [TEST_RECORD_PARAMETERS] = {
        PL_TOPIC_PARAMETERS, "base",
        "{'epoch':'5','instruments':[{'instrument':'ETH','kind':'KIND_SPOT','lot_decimals':5,"
        "'tick_decimals':2,'haircut_long':{'alert':60000,'initial':50000,'end':40000,"
        "'maintenance':30000},'haircut_short':{'alert':70000,'initial':60000,'end':50000,"
        "'maintenance':40000},'factors':[{'factor':'market','load':{'alert':120000,"
        "'initial':100000,'end':80000,'maintenance':60000}}],"
        "'brackets':[{'threshold_usd':'1000000','rate':{'alert':40000,'initial':30000,"
        "'end':20000,'maintenance':10000}},{'threshold_usd':'5000000','rate':{'alert':80000,"
        "'initial':60000,'end':40000,'maintenance':20000}}],'dependencies':[{'dependency':'lido',"
        "'loss':{'alert':9000,'initial':8000,'end':7000,'maintenance':6000}}],"
        "'confidence_ppm':1500,'sale_discount_ppm':5000,'price_rules':{'sources':['kraken',"
        "'coinbase'],'quorum':2,'age_ms_max':'5000','band_ppm':50000,'bad_mark_low_ppm':500000,"
        "'bad_mark_high_ppm':1500000},'chain':'ethereum'},{'instrument':'BTC-PERP',"
        "'kind':'KIND_PERP','lot_decimals':3,'tick_decimals':1,'haircut_long':{'alert':30000,"
        "'initial':20000,'end':15000,'maintenance':10000},'haircut_short':{'alert':30000,"
        "'initial':20000,'end':15000,'maintenance':10000},'factors':[{'factor':'market',"
        "'load':{'alert':-60000,'initial':-50000,'end':-40000,'maintenance':-30000}}],"
        "'confidence_ppm':0,'sale_discount_ppm':2000,'price_rules':{'sources':['kraken'],"
        "'quorum':1,'age_ms_max':'3000','band_ppm':40000,'bad_mark_low_ppm':0,"
        "'bad_mark_high_ppm':1000000}}],'factors':[{'factor':'market'}],"
        "'dependencies':[{'dependency':'lido'}],'sources':[{'source':'venue-1',"
        "'settlement':'SETTLEMENT_APPLIED'},{'source':'chain-1',"
        "'settlement':'SETTLEMENT_BY_TIME'}],'policies':[{'policy':'default',"
        "'liquidity_order':['BTC-PERP','ETH'],'order_valid_ms':'30000',"
        "'order_overdue_ms':'60000','revision_pause_ms':'2000','restricted_hold_ms':'600000',"
        "'alert_hysteresis_ppm':10000,'watermark_age_ms_max':'10000'}],'author':'risk desk',"
        "'base_epoch':'4'}",
        "080512c9010a034554481001180520022a1008c0a90710a08d061880f10420e0d403321008e0c50810c0a907"
        "18a08d062080f1043a1a0a066d61726b657412100880d30e10c09a0c1880e20920c0a907421608c0843d1210"
        "0880f10410e0d40318c0b80220a09c01421708c096b10212100880e20910c0a9071880f10420c0b8024a150a"
        "046c69646f120d08d08c0110807d18b06d20e05d50b81758904e62240a066b72616b656e0a08636f696e6261"
        "7365100218882720a08d0628c0843d30c08db7016a08657468657265756d126e0a084254432d504552501002"
        "180320012a1008e0d40310c0b80218b0ea0120a09c01321008e0d40310c0b80218b0ea0120a09c013a1a0a06"
        "6d61726b6574121008bfa907109f8d0618fff00420dfd403500058a01f62170a066b72616b656e100118b817"
        "2080f10428003080897a1a080a066d61726b657422060a046c69646f2a0b0a0776656e75652d3110012a0b0a"
        "07636861696e2d311002322e0a0764656661756c7412084254432d50455250120345544818b0ea0120e0d403"
        "28d00f30c0cf2438a09c0140904e3a097269736b206465736b4004" },
    [TEST_RECORD_CHAINS] = {
        PL_TOPIC_CHAINS, "ethereum",
        "{'chain':'ethereum','head_height':'12465010','finalised_height':'12464946',"
        "'condition':'CONDITION_LIVE','bridges':[{'bridge':'hop',"
        "'condition':'CONDITION_HALTED'}],'event_time_ms':'1621432800000'}",
        "0a08657468657265756d10f2e6f80518b2e6f80520012a070a03686f7010023080a6b4a7982f" },
    [TEST_RECORD_CONTROL] = {
        PL_TOPIC_CONTROL, "account=alice",
        "{'scope':'account=alice','action':'ACTION_HALT','epoch':'3','actor':'desk-2',"
        "'reason':'feed under repair','created_ms':'1621432800000'}",
        "0a0d6163636f756e743d616c6963651001180322066465736b2d322a116665656420756e6465722072657061"
        "69723080a6b4a7982f" },
    [TEST_RECORD_EXECUTIONS] = {
        PL_TOPIC_EXECUTIONS, "alice",
        "{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4','execution_id':'x-1',"
        "'account':'alice','instrument':'ETH','status':'STATUS_PARTIALLY_FILLED',"
        "'last_quantity':{'mantissa':'5','exponent':-1},'cumulative_quantity':{'mantissa':'15',"
        "'exponent':-1},'last_price':{'mantissa':'250000','exponent':-2},"
        "'average_price':{'mantissa':'250100','exponent':-2},'fee_usd':{'mantissa':'12',"
        "'exponent':-1},'venue':'kraken','venue_order_id':'k-9','text':'ok',"
        "'event_time_ms':'1621432800000'}",
        "0a2436343035386665622d353038332d386337632d393231652d3538396339373465666262341203782d311a"
        "05616c6963652203455448280232050a013510013a060a0231351001420608a0c21e10034a0608e8c31e1003"
        "52060a02313210015a066b72616b656e62036b2d396a026f6b7080a6b4a7982f" },
    [TEST_RECORD_ORDERS] = {
        PL_TOPIC_ORDERS, "alice",
        "{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4',"
        "'plan_id':'26e8ef8d-2efb-8eaf-8df8-1691159bec22','account':'alice','bucket':'',"
        "'episode':'3','revision':1,'leg':2,'leg_count':2,'instrument':'ETH','side':'SIDE_BUY',"
        "'lots':'120000','lot_decimals':5,'limit_price':{'mantissa':'252491','exponent':-2},"
        "'created_ms':'1621432800000','valid_until_ms':'1621432830000',"
        "'reason':'REASON_BELOW_MAINTENANCE','prices':[{'instrument':'BTC-PERP',"
        "'source_offset':'8999','tick':'11','price':{'mantissa':'391234','exponent':-1},"
        "'event_time_ms':'1621432799500'},{'instrument':'ETH','source_offset':'9001','tick':'12',"
        "'price':{'mantissa':'251234','exponent':-2},'event_time_ms':'1621432799750'}],"
        "'holdings_version':'7','parameter_epoch':'5','control_epoch':'3',"
        "'proof':{'maintenance_before':{'mantissa':'-1000000000000000000000','exponent':-18},"
        "'end_before':{'mantissa':'-2000000000000000000001','exponent':-18},"
        "'end_after':{'mantissa':'0','exponent':-18},'end_one_lot_less':{'mantissa':'-3',"
        "'exponent':-18},'cost':{'mantissa':'15000000000','exponent':-12},"
        "'cost_bound':{'mantissa':'14999000000','exponent':-12},'gap_ppm':67}}",
        "0a2436343035386665622d353038332d386337632d393231652d353839633937346566626234122432366538"
        "656638642d326566622d386561662d386466382d3136393131353962656332321a05616c6963652200280330"
        "01380240024a03455448500258c0a90760056a060896e91e10037080a6b4a7982f78b090b6a7982f8001018a"
        "011e0a084254432d5045525010a746180b22060884e12f1001288ca2b4a7982f8a01190a0345544810a94618"
        "0c220608c4d51e10032886a4b4a7982f900107980105a00103aa016d0a1b0a172d3130303030303030303030"
        "30303030303030303030301023121b0a172d3230303030303030303030303030303030303030303110231a05"
        "0a0130102322060a022d3310232a0f0a0b31353030303030303030301017320f0a0b31343939393030303030"
        "3010173843" },
    [TEST_RECORD_ALERTS] = {
        PL_TOPIC_ALERTS, "alice",
        "{'account':'alice','bucket':'','kind':'KIND_STATE','left':'STATE_ALERT',"
        "'entered':'STATE_LIQUIDATING','created_ms':'1621432800000','since_ms':'1621432740000',"
        "'shortfall':{'mantissa':'3000000000000000000000','exponent':-18},"
        "'equity':{'mantissa':'12345000000000000','exponent':-12},"
        "'excess_alert':{'mantissa':'-4000000000000000000000','exponent':-18},"
        "'excess_initial':{'mantissa':'-3000000000000000000000','exponent':-18},"
        "'excess_end':{'mantissa':'-2000000000000000000001','exponent':-18},"
        "'excess_maintenance':{'mantissa':'-1000000000000000000000','exponent':-18},"
        "'doubts':[{'instrument':'ETH','reason':'REASON_STALE'},{'reason':'REASON_GAP'}],"
        "'holdings_version':'7','parameter_epoch':'5',"
        "'collateral':{'mantissa':'30000000000000001','exponent':-12},"
        "'debt':{'mantissa':'17655000000000001','exponent':-12},"
        "'collateral_ratio':{'mantissa':'1699235','exponent':-6},"
        "'over_collateral_ratio':{'mantissa':'699235','exponent':-6},"
        "'health_factor':{'mantissa':'-333334','exponent':-6},"
        "'requirement_alert':{'mantissa':'16345000000000000000000','exponent':-18},"
        "'requirement_initial':{'mantissa':'15345000000000000000000','exponent':-18},"
        "'requirement_end':{'mantissa':'14345000000000000000001','exponent':-18},"
        "'requirement_maintenance':{'mantissa':'13345000000000000000000','exponent':-18},"
        "'top_up':{'mantissa':'3000000000000000','exponent':-12},"
        "'cures':[{'kind':'KIND_ADD','cost':{'mantissa':'3000000000000000','exponent':-12}},"
        "{'kind':'KIND_REPAY','instrument':'ETH','lots':'120000','lot_decimals':5,"
        "'limit_price':{'mantissa':'252491','exponent':-2},"
        "'cost':{'mantissa':'15000000000','exponent':-12}}],"
        "'called_ms':'1621432740000','due_ms':'1621432860000'}",
        "0a05616c69636512001801200228043080a6b4a7982f38a0d1b0a7982f421a0a163330303030303030303030"
        "303030303030303030303010234a150a1131323334353030303030303030303030301017521b0a172d343030"
        "3030303030303030303030303030303030303010235a1b0a172d333030303030303030303030303030303030"
        "303030301023621b0a172d3230303030303030303030303030303030303030303110236a1b0a172d31303030"
        "303030303030303030303030303030303030102372070a03455448100272021006800107880105a201150a11"
        "33303030303030303030303030303030311017aa01150a1131373635353030303030303030303030311017b2"
        "010b0a0731363939323335100bba010a0a06363939323335100bc2010b0a072d333333333334100bca011b0a"
        "1731363334353030303030303030303030303030303030301023d2011b0a1731353334353030303030303030"
        "303030303030303030301023da011b0a1731343334353030303030303030303030303030303030311023e201"
        "1b0a1731333334353030303030303030303030303030303030301023ea01140a103330303030303030303030"
        "30303030301017f20118080132140a10333030303030303030303030303030301017f2012608021203455448"
        "18c0a90720052a060896e91e1003320f0a0b31353030303030303030301017f801a0d1b0a7982f8002e0fab7"
        "a7982f" },
    [TEST_RECORD_ACCOUNTS] = {
        PL_TOPIC_ACCOUNTS, "alice",
        "{'account':'alice','state':'STATE_LIQUIDATING','since_ms':'1621432800000','episode':'3',"
        "'revision':1,'doubts':[{'instrument':'ETH','reason':'REASON_STALE'},"
        "{'reason':'REASON_GAP'}],'whole_since_ms':'1621432799995',"
        "'revision_after_ms':'1621432802000',"
        "'pending':[{'order_id':'13463e7a-f5f5-859b-a667-1f1d8319b299','instrument':'BTC-PERP',"
        "'side':'SIDE_SELL','ordered_lots':'2500','executed_lots':'0','applied_lots':'0',"
        "'lot_decimals':3,'limit_price':{'mantissa':'390451','exponent':-1},"
        "'progress':'PROGRESS_OPEN','valid_until_ms':'1621432830000'},"
        "{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4','instrument':'ETH','side':'SIDE_BUY',"
        "'ordered_lots':'120000','executed_lots':'70000','applied_lots':'50000','lot_decimals':5,"
        "'limit_price':{'mantissa':'252491','exponent':-2},'progress':'PROGRESS_TERMINAL',"
        "'valid_until_ms':'1621432830000','reported_ms':'1621432800900'}],'version':'11'}",
        "0a05616c69636510041880a6b4a7982f2003280132070a0345544810023202100638fba5b4a7982f40d0b5b4"
        "a7982f4a4c0a2431333436336537612d663566352d383539622d613636372d31663164383331396232393912"
        "084254432d50455250180120c413280030003803420608e6d42f1001480150b090b6a7982f4a530a24363430"
        "35386665622d353038332d386337632d393231652d3538396339373465666262341203455448180220c0a907"
        "28f0a20430d08603380542060896e91e1003480350b090b6a7982f5884adb4a7982f500b" },
    [TEST_RECORD_JOURNAL] = {
        PL_TOPIC_JOURNAL, "2",
        "{'partition':2,'sequence':'99',"
        "'previous_hash':'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=','kind':'KIND_STEP',"
        "'clock_ms':'1621432800000','vector':[{'topic':'holdings','partition':2,'offset':'1235',"
        "'first_offset':'1200','digest':'UFFSU1RVVldYWVpbXF1eX2BhYmNkZWZnaGlqa2xtbm8='},"
        "{'topic':'marks','partition':0,'offset':'88001','first_offset':'87990',"
        "'digest':'cHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo8='}],'parameter_epoch':'5',"
        "'partition_count':6,'readiness':'READINESS_DECIDING','output_count':4,"
        "'outputs_digest':'ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=',"
        "'book_digest':'QEFCQ0RFRkdISUpLTE1OTw==','slot':'liquidation-0','build':'0.1.0',"
        "'control_epoch':'3','marks_first_offset':'87000',"
        "'settled_digest':'kJGSk5SVlpeYmZqbnJ2enw=='}",
        "080410631a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20012880a6b4"
        "a7982f32340a08686f6c64696e6773100418d30920b0092a20505152535455565758595a5b5c5d5e5f606162"
        "636465666768696a6b6c6d6e6f32330a056d61726b73100018c1af0520b6af052a2070717273747576777879"
        "7a7b7c7d7e7f808182838485868788898a8b8c8d8e8f3805400c480250045a20202122232425262728292a2b"
        "2c2d2e2f303132333435363738393a3b3c3d3e3f6210404142434445464748494a4b4c4d4e4f6a0d6c697175"
        "69646174696f6e2d307205302e312e3078038001d8a7058a0110909192939495969798999a9b9c9d9e9f" },
    [TEST_RECORD_WATERMARK] = {
        PL_TOPIC_HOLDINGS, "~watermark",
        "{'watermark':{'positions_offset':'1300','time_ms':'1621432800003'}}",
        "420a08940a1083a6b4a7982f" },
};
